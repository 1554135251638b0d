package operations

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestEveryNameIsRecorded: whatever names a job's author and a project's maintainer choose, the job
// is listed, counts for the limits, and is stopped like any other.
func TestEveryNameIsRecorded(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "concurrency", site.Table{"per_account": 1, "wait": "50m"}) }))
		named := func(ref string) fakerunner.Job {
			j := s.Job()
			j.Git.Ref, j.Project.FullPath = ref, strings.Repeat("g/", 100)+strings.Repeat("p", 55)
			return s.WithClaims(j, s.GitLab.Claims(j, gitlab.User{ID: s.User.ID, Login: s.User.Login, Email: s.User.Email}))
		}
		r := s.Runner()
		for _, part := range []string{"<", `"`} {
			path, open := gate(t)
			first, second := named(strings.Repeat(part, 255/len(part))), named("main")
			running := site.Begin(t, r, first, waits(path))
			if l := list(t, s)[first.ID]; l.State != "running" || l.Account != s.Account.Name || l.Project == "" {
				t.Errorf("%q: %+v", part, l)
			}
			second.Script = []string{"true"}
			e := r.Start(second)
			until(t, "the second job waits", func() bool { return list(t, s)[second.ID].State == "waiting" })
			open()
			site.Want(t, running.Wait(), fakerunner.Success, 0)
			site.Want(t, e.Wait(), fakerunner.Success, 0)
			if l := list(t, s, "--ended"); l[first.ID].Exit != "ok" || l[first.ID].Account != s.Account.Name {
				t.Errorf("%q: %+v", part, l[first.ID])
			}
		}
		records, err := os.ReadFile(filepath.Join(s.StateDir, "operator.log"))
		testutil.Must(t, err)
		for line := range strings.Lines(string(records)) {
			if strings.Contains(line, `"event":"warning"`) {
				t.Errorf("%s", line)
			}
		}
	})
}

// TestQueueOfAnother: jobs of one account that wait for each other keep no job of another account
// from a place that is free.
func TestQueueOfAnother(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		people, err := s.Accounts.People(2)
		testutil.Must(t, err)
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			c.Set("auth", "concurrency", site.Table{"per_account": 1, "per_project": 3, "total": 3, "wait": "50m"})
		}))
		path, open := gate(t)
		r := s.Runner()
		all := []*fakerunner.Execution{site.Begin(t, r, jobOf(s, people[0]), waits(path))}
		for range 4 {
			j := jobOf(s, people[0])
			j.Script = []string{"true"}
			all = append(all, r.Start(j))
			until(t, "the job waits", func() bool { return list(t, s)[j.ID].State == "waiting" })
		}
		other := jobOf(s, people[1])
		other.Script = []string{"true"}
		e := r.Start(other)
		select {
		case <-e.Done():
		case <-time.After(4 * limit):
			t.Error("the job of the other account waits for them")
		}
		open()
		site.Want(t, e.Wait(), fakerunner.Success, 0)
		for _, e := range all {
			site.Want(t, e.Wait(), fakerunner.Success, 0)
		}
	})
}

// TestMessageOfAnyText: a drain applies whatever its message is.
func TestMessageOfAnyText(t *testing.T) {
	someDeployments(t, func(t *testing.T, s *site.Site) {
		for _, part := range []string{"<", `"`} {
			does(t, s, "drain", "--message", strings.Repeat(part, 3000))
			reads(t, s.Runner().Run(s.Job("true")), "takes no new jobs")
			does(t, s, "resume")
		}
	})
}
