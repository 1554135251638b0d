package authz

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestCheckLog: what `jacamar-admin check` reports about the operator's log.
func TestCheckLog(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		table site.Table
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"default place": {nil, nil, "ok log: a record was written to DIR/operator.log"},
		"off":           {site.Table{"enabled": false}, nil, ""},
		"readable by all": {nil, func(t *testing.T, dir string) {
			testutil.Must(t, os.WriteFile(filepath.Join(dir, "operator.log"), nil, 0o600))
			testutil.Must(t, os.Chmod(filepath.Join(dir, "operator.log"), 0o644))
		}, "warn log: any account can read the operator's log DIR/operator.log (mode 0644)"},
		"never rotated": {nil, func(t *testing.T, dir string) {
			testutil.Must(t, os.WriteFile(filepath.Join(dir, "operator.log"), nil, 0o600))
			testutil.Must(t, os.Truncate(filepath.Join(dir, "operator.log"), 3<<30))
		}, "warn log: the operator's log DIR/operator.log has 3072 MiB: nothing rotates it"},
		"writable by all": {nil, func(t *testing.T, dir string) {
			testutil.Must(t, os.WriteFile(filepath.Join(dir, "operator.log"), nil, 0o600))
			testutil.Must(t, os.Chmod(filepath.Join(dir, "operator.log"), 0o666))
		}, "fail log: the operator's log cannot be written to DIR/operator.log: "},
		"no number": {nil, func(t *testing.T, dir string) {
			testutil.Must(t, os.WriteFile(filepath.Join(dir, "operator.seq"), []byte("x"), 0o600))
		}, "fail log: the operator's log cannot be written to DIR/operator.log: cannot number its records: "},
		"another place": {site.Table{"network": "udp", "address": "127.0.0.1:9"}, nil, "ok log: a record was written to udp 127.0.0.1:9, where others can write similar records"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			testutil.Must(t, s.Reconfigure(func(c site.Config) {
				if tc.table != nil {
					c.Set("auth", "logging", tc.table)
				}
			}))
			if tc.spoil != nil {
				tc.spoil(t, s.StateDir)
			}
			r, _ := check(t, s)
			var lines []string
			for _, l := range r.Lines {
				if l.Check == "log" {
					lines = append(lines, l.Result+" log: "+l.Text)
				}
			}
			want := strings.ReplaceAll(tc.want, "DIR", s.StateDir)
			if (want == "") != (len(lines) == 0) || want != "" && !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, want) }) {
				t.Errorf("got %q, want %q", lines, want)
			}
		})
	}
}
