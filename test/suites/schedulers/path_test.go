package schedulers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// hostile are names that data_dir can have (a dollar sign is its own) and that have a meaning in the syntax of some batch
// system, or of a shell: patterns of output files, hosts before a colon, lists,
// variables, arrays, escapes.
var hostile = []string{
	`DOMAIN\user`, `two\\`, "user@realm", "100%", "%j-%x-%u-%%", "%J_%U", "a:b", "host:", "a,b", "a b", "^array_index^",
	"{{id}}", "it's", `say "x"`, "a;b", "a&b|c", "`id`", "(x)", "[1-3]", "*", "?", "#x", "~", "=x", "-o", "ö", "{a,b}", "!x", "<x>",
}

// Below a directory of any name a job runs as elsewhere: its log is complete, its exit
// code its own.
func TestPaths(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		if os.Geteuid() != 0 {
			t.Skip("needs root: the directories are the site's, the jobs another account's")
		}
		top, err := os.MkdirTemp("/srv", "jacamar-path-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(top) })
		if err := os.Chmod(top, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.names() {
			t.Run(strings.ReplaceAll(name, "/", "|"), func(t *testing.T) {
				dir := filepath.Join(top, name)
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
					t.Fatal(err)
				}
				s := c.site(t, func(conf site.Config) { conf.Set("general", "data_dir", dir) })
				r := s.Runner()
				j := newJob(s, "echo first; echo in $PWD; echo last >&2; exit 7")
				res := r.Run(j)
				site.Want(t, res, fakerunner.ScriptFailure, 7, "first\n", "last\n", "was submitted")
				if !strings.HasPrefix(res.BuildsDir, dir+"/") {
					t.Errorf("it ran in %s, not below %s", res.BuildsDir, dir)
				}
				c.once(t, batchName(r, j))
			})
		}
	})
}

// names are the hostile ones that the batch system can have at all, for a short run
// all of them in one path.
func (c cluster) names() (names []string) {
	for _, name := range hostile {
		// Cobalt drops blanks from the path of a script.
		if c.kind != "cobalt" || !strings.Contains(name, " ") {
			names = append(names, name)
		}
	}
	if testing.Short() || c.quick() {
		return []string{`DOMAIN\user`, strings.Join(names, "/")}
	}
	return names
}
