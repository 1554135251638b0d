package workspace

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/test/harness/testutil"
)

var (
	fixCommand = regexp.MustCompile(`(?:^|: )((?:chmod|mkdir) [^(,]+?)(?:(?: \(|, or if ).*)?$`)
	fixPath    = regexp.MustCompile(`such as (\S+);`)
)

// TestHintsForChosenDirectories carries out the hint of each refusal of a
// CUSTOM_CI_BUILDS_DIR and expects that the job has its directory then.
func TestHintsForChosenDirectories(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, home string) (value string){
		"writable by all": func(t *testing.T, home string) string {
			testutil.Must(t, os.Mkdir(home+"/x", 0o700), os.Chmod(home+"/x", 0o777))
			return home + "/x"
		},
		"writable by the group above it": func(t *testing.T, home string) string {
			testutil.Must(t, os.MkdirAll(home+"/x/y", 0o700), os.Chmod(home+"/x", 0o770))
			return home + "/x/y"
		},
		"another account's": func(t *testing.T, home string) string {
			if os.Geteuid() != 0 {
				return "/etc"
			}
			testutil.Must(t, os.Mkdir(home+"/x", 0o755), os.Chown(home+"/x", 65533, -1))
			return home + "/x"
		},
		"all users'": func(t *testing.T, home string) string {
			if os.Geteuid() != 0 {
				return "/tmp"
			}
			testutil.Must(t, os.Mkdir(home+"/x", 0o755), os.Chown(home+"/x", 65533, -1), os.Chmod(home+"/x", 0o1777))
			return home + "/x"
		},
		"a link to nothing": func(t *testing.T, home string) string {
			testutil.Must(t, os.Symlink(home+"/missing", home+"/x"))
			return home + "/x"
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAccount(t)
			value := make(t, a.Home.String())
			_, err := openWorkspace(t, withCustomBuilds(options(t, a, 1), value)).Config()
			_, hint := failure.ForUser(err, false, "")
			if err == nil || hint == "" {
				t.Fatalf("%s: %v, hint %q", value, err, hint)
			}
			command, path := fixCommand.FindStringSubmatch(hint), fixPath.FindStringSubmatch(hint)
			switch {
			case path != nil:
				value = path[1]
			case command != nil:
				if out, err := exec.Command("sh", "-c", command[1]).CombinedOutput(); err != nil {
					t.Fatalf("%q: %v\n%s", hint, err, out)
				}
			default:
				t.Fatalf("%v: the hint %q has nothing to do", err, hint)
			}
			if os.Geteuid() != 0 && path != nil && filepath.Dir(value) == "/tmp" {
				t.Cleanup(func() { os.RemoveAll(value) })
			}
			if _, err := openWorkspace(t, withCustomBuilds(options(t, a, 1), value)).Config(); err != nil {
				t.Errorf("after %q: %v", hint, err)
			}
		})
	}
}
