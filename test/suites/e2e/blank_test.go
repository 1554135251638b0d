package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestBlankInThePathIsReported: the runner's scripts cannot use a local cache there, and
// print no message that explains it.
func TestBlankInThePathIsReported(t *testing.T) {
	const warning = "contains a blank"
	everywhere(t, func(t *testing.T, s *site.Site) {
		for name, c := range map[string]struct {
			data, custom  string
			cache, warned bool
		}{
			"data_dir":             {data: "ci jobs", cache: true, warned: true},
			"CUSTOM_CI_BUILDS_DIR": {data: "ci", custom: "my builds", cache: true, warned: true},
			"without a cache":      {data: "ci jobs"},
			"without a blank":      {data: "ci", custom: "builds", cache: true},
		} {
			t.Run(name, func(t *testing.T) {
				dir, err := os.MkdirTemp(s.Dir, "data")
				if err != nil {
					t.Fatal(err)
				}
				data := filepath.Join(dir, c.data)
				if err := os.Mkdir(data, 0o700); err != nil {
					t.Fatal(err)
				}
				for _, d := range []string{dir, data} {
					if err := os.Chown(d, int(s.Account.UID), int(s.Account.GID)); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Reconfigure(quick, func(conf site.Config) {
					conf.Set("general", "data_dir", data)
					conf.Set("general", "custom_build_dir", true)
				}); err != nil {
					t.Fatal(err)
				}
				j := s.Job("true")
				if c.cache {
					j.Cache = []fakerunner.Cache{{Key: "k", Paths: []string{"x"}}}
				}
				if c.custom != "" {
					j = site.WithVariable(j, "CUSTOM_CI_BUILDS_DIR", filepath.Join(dir, c.custom))
				}
				r := s.Runner().Run(j)
				site.Want(t, r, fakerunner.Success, 0)
				if strings.Contains(r.Trace, warning) != c.warned {
					t.Errorf("the warning is missing or at the wrong position:\n%s", r.Trace)
				}
			})
		}
	})
}
