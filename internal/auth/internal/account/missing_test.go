package account

import (
	"slices"
	"strings"
	"testing"
)

func TestMissing(t *testing.T) {
	for _, tc := range []struct {
		database string
		names    []string
		want     []string
	}{
		{"passwd", nil, nil},
		{"passwd", []string{"root"}, nil},
		{"passwd", []string{"root", "jci-no-such-user", "daemon", "jci-none"}, []string{"jci-no-such-user", "jci-none"}},
		{"group", []string{"root", "jci-no-such-group"}, []string{"jci-no-such-group"}},
		{"group", []string{"0"}, []string{"0"}}, // a number is looked up as an id, and is no name
		{"group", []string{"-x", "--help"}, []string{"-x", "--help"}},
		{"passwd", slices.Repeat([]string{"root"}, 2000), nil},
	} {
		got, err := System(nil).Missing(t.Context(), tc.database, tc.names)
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s %.60q: %q, %v", tc.database, strings.Join(tc.names, " "), got, err)
		}
	}
	if _, err := (Names{getent: []string{"/nonexistent/getent"}}).Missing(t.Context(), "passwd", []string{"root"}); err == nil {
		t.Error("without getent everybody is known")
	}
}
