package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestSpoiledDirectories: whatever a script does to the directories that Jacamar made for its
// job, its cleanup leaves nothing, and the next job of the account runs in the same directory,
// with a line about it in its log.
func TestSpoiledDirectories(t *testing.T) {
	restored := func(what string) string { return "restored the mode of " + what + ", which was " }
	again := func(slot string) string { return "began with an empty build directory: cannot use " + slot }
	for _, d := range site.Deployments() {
		if d.Name != "capabilities" && (d.Name != "user" || os.Geteuid() == 0) {
			continue // the account does it all
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			base := dataDir(t, s)
			r := s.Runner()
			slot := filepath.Join(base, "builds", r.ShortToken, "000")
			line := ""
			for _, tt := range []struct{ script, line string }{
				{`chmod 755 "$CI_BUILDS_DIR" && chmod 777 "$CI_PROJECT_DIR"`, again(slot)},
				{`chmod 777 "$CI_BUILDS_DIR"`, again(slot)},
				{`chmod a+rX BASE BASE/*`, restored(base)},
				{`chmod -R a+rX BASE`, again(slot)},
				{`rm -rf "$CI_BUILDS_DIR" BASE/scripts/*/*/lease && echo >"$CI_BUILDS_DIR"`, again(slot)},
				{`chmod 0 BASE/builds/*/.claims BASE/scripts/*/*/lease && chmod 500 BASE/scripts BASE`, restored(filepath.Join(base, "scripts"))},
				{`chmod 0 "$CI_BUILDS_DIR"`, restored(slot)},
				{`true`, ""},
			} {
				j := s.Job("cd", strings.ReplaceAll(tt.script, "BASE", base))
				j.Raw = map[string][]byte{"cleanup_file_variables": []byte("true\n")} // it may not reach its files
				result := r.Run(j)
				site.Want(t, result, fakerunner.Success, 0, line)
				if result.BuildsDir != slot {
					t.Errorf("%s: it ran in %s", tt.script, result.BuildsDir)
				}
				line = tt.line
			}
		})
	}
}
