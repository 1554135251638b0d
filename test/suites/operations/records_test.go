package operations

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestProjects (RQ/SPECS, RQ/SPEC): after a scripted history each project has its last
// success and its last failure, and the page's twin and report have the same numbers.
func TestProjects(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		r := s.Runner()
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
		bad := s.Job("exit 7")
		site.Want(t, r.Run(bad), fakerunner.ScriptFailure, 7)
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
		var projects []struct {
			Project      string
			Jobs, Failed int
			Success      time.Time `json:"last_success"`
			Failure      time.Time `json:"last_failure"`
			Exit         string    `json:"last_failure_exit"`
			Job          string    `json:"last_failure_job"`
		}
		text := does(t, s, "projects", "--json")
		testutil.Must(t, json.Unmarshal([]byte(text), &projects))
		if len(projects) != 1 {
			t.Fatalf("%s", text)
		}
		if p := projects[0]; p.Project != "group/project" || p.Jobs != 3 || p.Failed != 1 || !p.Success.After(p.Failure) || p.Exit != "build" || p.Job != fmt.Sprint(bad.ID) {
			t.Errorf("%s", text)
		}
		if text := does(t, s, "report", "--by", "project", "--csv"); !strings.Contains(text, "\ngroup/project,3,1,") {
			t.Errorf("%s", text)
		}
	})
}

// TestRetention (old job removal, remove-job, LORRY/REMOVE-JOB): the rule of the packages for tmpfiles
// removes old days and neither live jobs nor digests, a digest has no names, and forget
// leaves no trace of the account.
func TestRetention(t *testing.T) {
	debian.Need(t, map[string]string{"/usr/bin/systemd-tmpfiles": "systemd"})
	someDeployments(t, func(t *testing.T, s *site.Site) {
		r := s.Runner()
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
		old := age(t, s)
		if text := does(t, s, "digest"); !strings.Contains(text, filepath.Base(old)+": 1 jobs") {
			t.Errorf("%s", text)
		}
		site.Want(t, r.Run(s.Job("true")), fakerunner.Success, 0)
		if text := does(t, s, "forget", "--account", s.Account.Name); !strings.Contains(text, "about "+s.Account.Name) {
			t.Errorf("%s", text)
		}
		noTrace(t, filepath.Join(s.StateDir, "journal"), s.Account.Name)

		path, open := gate(t)
		live := s.Job()
		e := site.Begin(t, r, live, waits(path))
		rule := cleaningRule(t, s)
		until(t, "systemd-tmpfiles removes the old day", func() bool {
			if out, err := exec.Command("systemd-tmpfiles", "--clean", rule).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			_, err := os.Stat(old)
			return os.IsNotExist(err)
		})
		if l := list(t, s); l[live.ID].State != "running" {
			t.Errorf("%+v", l)
		}
		open()
		site.Want(t, e.Wait(), fakerunner.Success, 0)
		if text := does(t, s, "report", "--by", "account", "--csv"); !strings.Contains(text, fmt.Sprintf("\nuid %d,1,0,", s.Account.UID)) {
			t.Errorf("the digest is not in the report: %s", text)
		}
	})
}

// age makes the journal's only day an older one, and returns its file.
func age(t *testing.T, s *site.Site) string {
	t.Helper()
	days, err := filepath.Glob(filepath.Join(journal(t, s), "days", "*.jsonl"))
	testutil.Must(t, err)
	if len(days) != 1 {
		t.Fatalf("%q", days)
	}
	old := filepath.Join(filepath.Dir(days[0]), time.Now().UTC().AddDate(0, 0, -2).Format(time.DateOnly)+".jsonl")
	testutil.Must(t, os.Rename(days[0], old))
	return old
}

// noTrace fails the test for each file below a directory that has the text.
func noTrace(t *testing.T, dir, text string) {
	t.Helper()
	testutil.Must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), text) {
			t.Errorf("%s has %s: %s", path, text, content)
		}
		return err
	}))
}

// cleaningRule is the packages' rule for tmpfiles about the journal, for the site's
// journal and with a second for the 30 days of its days.
func cleaningRule(t *testing.T, s *site.Site) string {
	t.Helper()
	packaged, err := os.ReadFile("../../../rpm/tmpfiles-jacamar-ci.conf")
	testutil.Must(t, err)
	var rules strings.Builder
	for line := range strings.Lines(string(packaged)) {
		if strings.HasPrefix(line, "e /var/lib/jacamar/journal/") {
			rules.WriteString(strings.Replace(strings.Replace(line, "/var/lib/jacamar", s.StateDir, 1), " 30d", " 1s", 1))
		}
	}
	file := filepath.Join(t.TempDir(), "rule.conf")
	testutil.Must(t, os.WriteFile(file, []byte(rules.String()), 0o644))
	return file
}

// TestTwice (idempotent actions, RUNBOAT/IDEMPOTENT): each command prints the second time that there is nothing
// to do, exits 0, and changes no byte of the journal.
func TestTwice(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		r := s.Runner()
		ended := s.Job("true")
		site.Want(t, r.Run(ended), fakerunner.Success, 0)
		age(t, s)
		does(t, s, "drain", "--message", "x")
		for _, args := range [][]string{
			{"stop", fmt.Sprint(ended.ID)},
			{"stop", "--account", s.Account.Name},
			{"reap"},
			{"resume"},
			{"resume", "--account", s.Account.Name},
			{"digest"},
			{"forget", "--account", s.Account.Name},
			{"digest"},
		} {
			does(t, s, args...)
			before := contents(t, filepath.Join(s.StateDir, "journal"))
			if text := does(t, s, args...); !strings.Contains(text, "nothing to do") {
				t.Errorf("%q: %s", args, text)
			}
			if after := contents(t, filepath.Join(s.StateDir, "journal")); after != before {
				t.Errorf("%q changes the journal:\n%s, before\n%s", args, after, before)
			}
		}
	})
}

// contents are the names and sums of all files below a directory.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	testutil.Must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		fmt.Fprintf(&all, "%s %x\n", path, sha256.Sum256(content))
		return err
	}))
	return all.String()
}
