package gitlabrunner_test

import (
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// report is what both kinds of runner report of a job.
type report struct {
	outcome fakerunner.Outcome
	code    int
	trace   string
}

// scenario is one job and its expected result.
type scenario struct {
	name string
	job  func(*site.Site, repositories) fakerunner.Job
	// cancel is the text in the job log after which the job is canceled.
	cancel  string
	outcome fakerunner.Outcome
	code    int
	// shows and hides are texts that the job log must have and must not have.
	shows, hides []string
	submodules   bool
}

// job is one without sources.
func job(change func(*fakerunner.Job), script ...string) func(*site.Site, repositories) fakerunner.Job {
	return func(s *site.Site, _ repositories) fakerunner.Job {
		j := s.Job(script...)
		if change != nil {
			change(&j)
		}
		return j
	}
}

func after(script ...string) func(*fakerunner.Job) {
	return func(j *fakerunner.Job) { j.AfterScript = script }
}

var scenarios = []scenario{
	{name: "success", job: job(nil, `echo "I am $(id -un)"`), outcome: fakerunner.Success, shows: []string{"I am "}, hides: []string{"I am root"}},
	{name: "exit 7", job: job(nil, "exit 7"), outcome: fakerunner.ScriptFailure, code: 7},
	{name: "exit 2 is the script's own", job: job(nil, "exit 2"), outcome: fakerunner.ScriptFailure, code: 2},
	{name: "exit 255", job: job(nil, "exit 255"), outcome: fakerunner.ScriptFailure, code: 255},
	{name: "a killed script", job: job(nil, "kill -9 $$"), outcome: fakerunner.ScriptFailure, code: 137},
	{name: "after_script learns of success", job: job(after(`echo "status=$CI_JOB_STATUS"`), "true"), outcome: fakerunner.Success, shows: []string{"status=success"}},
	{name: "after_script learns of failure", job: job(after(`echo "status=$CI_JOB_STATUS"`), "exit 3"), outcome: fakerunner.ScriptFailure, code: 3, shows: []string{"status=failed"}},
	{name: "a failing after_script is ignored", job: job(after("exit 9"), "true"), outcome: fakerunner.Success},
	{name: "a file variable", job: job(func(j *fakerunner.Job) {
		j.Variables = append(j.Variables, fakerunner.Variable{Key: "NOTE", Value: "from\na file", File: true})
	}, `cat "$NOTE"`), outcome: fakerunner.Success, shows: []string{"a file"}},
	{name: "a masked variable", job: job(func(j *fakerunner.Job) {
		j.Variables = append(j.Variables, fakerunner.Variable{Key: "PASSWORD", Value: "hunter2-hunter2", Masked: true})
	}, `echo "it is $PASSWORD"`), outcome: fakerunner.Success, shows: []string{"it is [MASKED]"}, hides: []string{"hunter2"}},
	{name: "a clone", job: func(s *site.Site, repos repositories) fakerunner.Job {
		j := site.WithSources(s.Job("git rev-parse HEAD", "test -f go.mod"), repos.own)
		// An earlier test's GitLab had another port, and a runner that keeps
		// .git/config keeps the settings for that one.
		j = site.WithVariable(j, "GIT_STRATEGY", "clone")
		return s.WithClaims(j, s.GitLab.Claims(j, s.User))
	}, outcome: fakerunner.Success, shows: []string{"Checking out "}},
	{name: "a cache and artifacts", job: func(s *site.Site, _ repositories) fakerunner.Job {
		j := site.WithVariable(s.Job("mkdir -p kept made", "echo 1 > kept/one", "echo 2 > made/two"), "PATH", s.Helper+":/usr/local/bin:/usr/bin:/bin")
		j.Cache = []fakerunner.Cache{{Key: "k", Paths: []string{"kept"}}}
		j.Artifacts = []fakerunner.Artifact{{Name: "result", Paths: []string{"made"}}}
		return j
	}, outcome: fakerunner.Success, shows: []string{"[kept]: found 1 matching files", "[made]: found 1 matching files", "201 Created"}},
	{name: "another job's token", job: func(s *site.Site, _ repositories) fakerunner.Job {
		j := s.Job("echo I ran")
		return s.WithClaims(j, s.GitLab.Claims(j, s.User).With("job_id", "1"))
	}, outcome: fakerunner.ScriptFailure, code: 1, hides: []string{"I ran"}},
	{name: "a daemon left behind", job: job(nil, "setsid sleep 1000 &", "echo done"), outcome: fakerunner.Success, shows: []string{"done"}},
	{name: "the job's timeout", job: job(func(j *fakerunner.Job) { j.Timeout = 5 * time.Second }, "echo up", "sleep 1000"), outcome: fakerunner.Timeout, shows: []string{"up"}},
	{
		name: "cancel in the script", job: job(after(`echo "status=$CI_JOB_STATUS"`), "echo script is up", "sleep 1000", "echo past it"), cancel: "script is up",
		outcome: fakerunner.Canceled, shows: []string{"status=canceled"}, hides: []string{"past it\n"},
	},
}
