package config

import "testing"

func TestSourceForm(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"push", true},
		{"merge_request_event", true},
		{"a9_", true},
		{"", false},
		{"_push", false},
		{"9push", false},
		{"Push", false},
		{"pu sh", false},
		{"push\n", false},
		{"pushé", false},
	} {
		var s Source
		if err := s.UnmarshalText([]byte(c.text)); (err == nil) != c.ok || c.ok && string(s) != c.text {
			t.Errorf("%q: %v, read as %q", c.text, err, s)
		}
	}
}
