package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
)

func TestFaultCovers(t *testing.T) {
	for _, tc := range []struct {
		fault, key string
		want       bool
	}{
		{"auth.runas", "auth.runas", true},
		{"auth.runas", "auth.runas.sha256", true},
		{"batch.rule", "batch.rule[2].args", true},
		{"auth.run", "auth.runas", false},
		{"auth.runas.sha256", "auth.runas", false},
		{"general", "auth", false},
	} {
		if got := (Fault{Key: tc.fault}).covers(tc.key); got != tc.want {
			t.Errorf("%s covers %s: %v", tc.fault, tc.key, got)
		}
	}
}

func TestFaultIsOnePrintableLine(t *testing.T) {
	for want, f := range map[string]Fault{
		"line 3: a.b: is bad": {Key: "a.b", Line: 3, Text: "is bad"},
		"a.b: is bad":         {Key: "a.b", Text: "is bad"},
		"line 3: is bad":      {Line: 3, Text: "is bad"},
		"a?b: is bad":         {Key: "a\u2028b", Text: "is bad"},
	} {
		if f.Error() != want {
			t.Errorf("got %q, want %q", f.Error(), want)
		}
	}
}

// TestNoFaultIsNoError: a nil *multierror.Error inside an error is not nil.
func TestNoFaultIsNoError(t *testing.T) {
	if err := asError(nil); err != nil {
		t.Errorf("%T %v", err, err)
	}
	err := asError([]Fault{{Text: "a"}, {Text: "b"}})
	var all *multierror.Error
	if !errors.As(err, &all) || len(all.Errors) != 2 || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%T %v", err, err)
	}
}

func TestSuggestion(t *testing.T) {
	known := []string{"user_allowlist", "tls-ca-file", "min_uid"}
	for name, want := range map[string]string{
		"user_allow_list": ": did you mean user_allowlist?", "USER_ALLOWLIST": ": did you mean user_allowlist?", "tls_ca_file": ": did you mean tls-ca-file?",
		"minuid": ": did you mean min_uid?", "min_uids": ": did you mean min_uid?", "mix_aid": ": did you mean min_uid?",
		"max_gid": "", "": "", "allowlist": "", "level": ": it belongs under [auth.logging]",
	} {
		if got := suggestion("auth", name, known); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abd", 1},
		{"abc", "ab", 1},
		{"abc", "xabc", 1},
		{"kitten", "sitting", 3},
		{"flaw", "lawn", 2},
		{"ab", "ba", 2},
	} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("%q %q: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
