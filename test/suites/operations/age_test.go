package operations

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// inTable are the paths of the first column of "What grows, and what removes it" in
// docs/operations.md.
func inTable(t *testing.T) (patterns []string) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/operations.md")
	testutil.Must(t, err)
	_, section, found := strings.Cut(string(text), "\n## What grows, and what removes it\n")
	section, _, _ = strings.Cut(section, "\n## ")
	placeholder := regexp.MustCompile(`\b(HOST|RUNNER|JOB|POOL)\b`)
	for line := range strings.Lines(section) {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		for _, code := range regexp.MustCompile("`((STATE|BASE)/[^`]*)`").FindAllStringSubmatch(first, -1) {
			patterns = append(patterns, placeholder.ReplaceAllString(code[1], "*?")) // ends in no *
		}
	}
	if !found || len(patterns) < 10 {
		t.Fatalf("the table has only %q", patterns)
	}
	return patterns
}

// isListed reports whether a pattern has a path, a directory on its way, or for one that ends
// in * or / what is below.
func isListed(name string, patterns []string) bool {
	parts := strings.Split(name, "/")
	for _, pattern := range patterns {
		open := strings.HasSuffix(pattern, "*") || strings.HasSuffix(pattern, "/")
		want := strings.Split(strings.TrimSuffix(pattern, "/"), "/")
		matches := len(parts) <= len(want) || open
		for i := range min(len(parts), len(want)) {
			same, err := path.Match(want[i], parts[i])
			matches = matches && same && err == nil
		}
		if matches {
			return true
		}
	}
	return false
}

// TestWhatGrows: every file that jobs and the commands leave has a row in the table of the
// documentation which names what removes it.
func TestWhatGrows(t *testing.T) {
	patterns := inTable(t)
	for name, want := range map[string]bool{
		"STATE/journal/login1/live/1.2.3": true, "STATE/journal/login1": true, "STATE/journal/login1/other": false, "STATE/other": false,
		"BASE/builds/t0ken/000/group/file": true, "BASE/other/file": false, "STATE/seal.key/below": false,
	} {
		if isListed(name, patterns) != want {
			t.Errorf("%s: %v, want %v", name, !want, want)
		}
	}
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			c.Set("general", "file_lock_debug", true)
			c.Set("general", "cache_days", 7)
			c.Set("auth", "concurrency", site.Table{"total": 2})
		}))
		wait, open := gate(t)
		r := s.Runner()
		running := site.Begin(t, r, s.Job(), waits(wait))
		site.Want(t, r.Run(s.Job("exit 7")), fakerunner.ScriptFailure, 7)
		age(t, s)
		does(t, s, "digest")
		does(t, s, "drain", "--message", "x")
		for _, place := range []struct{ name, dir string }{{"STATE", s.StateDir}, {"BASE", filepath.Join(s.Account.Home, ".jacamar-ci")}} {
			found := 0
			testutil.Must(t, filepath.WalkDir(place.dir, func(file string, _ fs.DirEntry, err error) error {
				rel, _ := filepath.Rel(place.dir, file)
				if found++; rel != "." && !isListed(place.name+"/"+rel, patterns) {
					t.Errorf("the table lacks %s", fmt.Sprint(place.name, "/", rel))
				}
				return err
			}))
			if found < 8 {
				t.Errorf("only %d files in %s", found, place.dir)
			}
		}
		open()
		site.Want(t, running.Wait(), fakerunner.Success, 0)
	})
}
