package driver

import (
	"errors"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// TestOwner: the parent of this process is the runner while that can read the output. Later
// it may be any process, which would own the job for as long as it runs.
func TestOwner(t *testing.T) {
	r, w, err := os.Pipe()
	testutil.Must(t, err)
	defer w.Close()
	if p, err := ownerBy(w); err != nil || p.PID != os.Getppid() {
		t.Errorf("%v, %v", p, err)
	}
	r.Close()
	s := &Session{Call: Call{Stage: job.Config}}
	if s.owner, s.ownerErr = ownerBy(w); s.owner != (proctree.Process{}) {
		t.Errorf("%v is the runner", s.owner)
	}
	if _, err := s.Request(job.Account{}, ipc.Dirs{}, nil); err == nil || !strings.Contains(err.Error(), "the runner has ended") {
		t.Errorf("the request of a config stage: %v", err)
	}
	s.Call.Stage = job.Cleanup
	if _, err := s.Request(job.Account{}, ipc.Dirs{}, nil); err != nil {
		t.Errorf("the request of a cleanup: %v", err)
	}
}

func environ(t *testing.T, pairs ...string) customexec.Environ {
	t.Helper()
	e, err := customexec.ParseEnviron(pairs)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func env(t *testing.T, pair string) job.Env {
	t.Helper()
	e, err := job.ParseEnv(pair)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func pattern(t *testing.T, s string) glob.Pattern {
	t.Helper()
	p, err := glob.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func site(t *testing.T) config.Config {
	t.Helper()
	var c config.Config
	c.General.Executor, c.General.ShellPath, c.General.KillTimeout = settings.Shell, testutil.AbsPath(t, "/bin/bash"), time.Minute
	if err := c.General.DataDir.UnmarshalText([]byte("/data")); err != nil {
		t.Fatal(err)
	}
	c.General.UserBashEnv, c.General.JobMessage, c.General.RetainLogs = []job.Env{env(t, "A=b")}, "hello", true
	c.Auth.Downscope = settings.Setuid
	return c
}

func TestSettings(t *testing.T) {
	got := (&Session{Site: site(t)}).settings()
	want := ipc.Settings{
		General: settings.General{
			Executor: settings.Shell, ShellPath: testutil.AbsPath(t, "/bin/bash"), UserBashEnv: []job.Env{env(t, "A=b")}, KillTimeout: time.Minute, RetainLogs: true,
		},
		DataDir: "/data", Message: "hello", Downscope: settings.Setuid,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNoProfile(t *testing.T) {
	for pair, want := range map[string]bool{
		"CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=true": true, "CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=1": true,
		"CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=false": false, "CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=": false, "CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=0": false,
		"JACAMAR_CI_NO_PROFILE=true": false, "X=y": false,
	} {
		if got := (&Session{Env: environ(t, pair)}).job().NoProfile; got != want {
			t.Errorf("%s: %v", pair, got)
		}
	}
}

// TestMisspelt: only names count that the site reads, and few are shown.
func TestMisspelt(t *testing.T) {
	for name, tt := range map[string]struct {
		pairs    []string
		executor settings.Executor
		want     int
	}{
		"of a batch system, without one": {[]string{"CUSTOM_ENV_SCHEDULER_PARAMETER=-N1"}, settings.Shell, 0},
		"of a batch system":              {[]string{"CUSTOM_ENV_SCHEDULER_PARAMETER=-N1"}, "slurm", 1},
		"of containers, without any":     {[]string{"CUSTOM_ENV_JACAMAR_CI_CONTAINER_MODULE=x"}, settings.Shell, 0},
		"of every site":                  {[]string{"CUSTOM_ENV_CUSTOM_CI_BUILD_DIR=/x"}, settings.Shell, 1},
		"many": {[]string{
			"CUSTOM_ENV_CUSTOM_CI_BUILD_DIR=/x", "CUSTOM_ENV_CUSTOM_CI_BUILDS_DI=/x", "CUSTOM_ENV_CUSTOM_CI_BUILDS_DR=/x",
			"CUSTOM_ENV_custom_ci_builds_dir=/x",
		}, settings.Shell, maxMisspelt},
	} {
		site := site(t)
		site.General.Executor = tt.executor
		if got := (&Session{Site: site, Env: environ(t, tt.pairs...)}).misspelt(); len(got) != tt.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func always(config.Matcher) (bool, error) { return true, nil }

func TestBatchIsForBatchExecutors(t *testing.T) {
	s := site(t)
	if b, err := (&Session{Site: s}).batch(always); b != nil || err != nil {
		t.Errorf("for the shell: %+v, %v", b, err)
	}
	s.General.Executor = "slurm"
	s.Batch.CommandDelay, s.Batch.DefaultArgs = time.Second, []string{"-N1"}
	b, err := (&Session{Site: s}).batch(always)
	if want := (&ipc.Batch{Batch: settings.Batch{CommandDelay: time.Second, DefaultArgs: []string{"-N1"}}}); err != nil || !reflect.DeepEqual(b, want) {
		t.Errorf("got %+v, %v, want %+v", b, err, want)
	}
}

func TestBatchRules(t *testing.T) {
	s := site(t)
	s.General.Executor, s.General.GitLabServer = "slurm", &url.URL{}
	s.Batch.Rules = []config.Rule{
		{Matcher: config.Matcher{Project: pattern(t, "a/b")}, RuleArgs: settings.RuleArgs{Args: []string{"-A"}}},
		{Matcher: config.Matcher{Namespace: pattern(t, "n")}, RuleArgs: settings.RuleArgs{Args: []string{"-B"}, Required: true}},
		{RuleArgs: settings.RuleArgs{Args: []string{"-C"}}},
	}
	b, err := (&Session{Site: s}).batch(func(r config.Matcher) (bool, error) { return r.Project.IsZero(), nil })
	want := []ipc.BatchRule{
		{Name: `[[batch.rule]] number 2 (namespace "n")`, RuleArgs: settings.RuleArgs{Args: []string{"-B"}, Required: true}},
		{Name: "[[batch.rule]] number 3", RuleArgs: settings.RuleArgs{Args: []string{"-C"}}},
	}
	if err != nil || !reflect.DeepEqual(b.Rules, want) {
		t.Errorf("got %+v, %v, want %+v", b.Rules, err, want)
	}
	if name := ruleName("batch", 0, s.Batch.Rules[0].Matcher); name != `[[batch.rule]] number 1 (project "a/b")` {
		t.Errorf("%q", name)
	}
	wrong := errors.New("wrong")
	if _, err := (&Session{Site: s}).batch(func(config.Matcher) (bool, error) { return false, wrong }); !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
}

func TestBatchArguments(t *testing.T) {
	s := site(t)
	s.General.Executor, s.Batch.ArgumentsVariable = "slurm", []config.Variable{"OTHER", "SCHEDULER_PARAMETERS", "UNSET"}
	long := make([]byte, longestText+1)
	for i := range long {
		long[i] = 'x'
	}
	b, err := (&Session{Site: s, Env: environ(t, "CUSTOM_ENV_OTHER="+string(long), "CUSTOM_ENV_SCHEDULER_PARAMETERS=-N 1", "OTHER=mine")}).batch(always)
	want := []ipc.BatchArguments{{Variable: "SCHEDULER_PARAMETERS", Text: []byte("-N 1")}, {Variable: "OTHER", Text: long[:longestText]}}
	if err != nil || !reflect.DeepEqual(b.Arguments, want) {
		t.Errorf("got %d arguments, %v", len(b.Arguments), err)
	}
}

// session is one of which every part is set.
func session(t *testing.T) *Session {
	t.Helper()
	site := site(t)
	site.General.Executor = "slurm"
	site.Batch.Rules = []config.Rule{{RuleArgs: settings.RuleArgs{Args: []string{"-p", "ci"}}}}
	return &Session{
		owner: proctree.Process{PID: 9, Start: 8, Boot: "b"},
		Call:  Call{Stage: job.Run, SubStage: "build_script"}, Site: site,
		Facts: customexec.Response{ID: 1, ProjectID: 2, Project: "g/p", Timeout: 3, Helper: true, StepRunner: true, Image: true, Services: true},
		Env: environ(t, "CUSTOM_ENV_CI_RUNNER_SHORT_TOKEN=t0ken", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=/b/g/p.tmp", "CUSTOM_ENV_PATH=/bin",
			"CUSTOM_ENV_CUSTOM_CI_BUILDS_DIR=/c", "CUSTOM_ENV_JACAMAR_CI_NO_PROFILE=1", "CUSTOM_ENV_SCHEDULER_PARAMETER=-N1", "LANG=C.UTF-8", "SECRET=x"),
	}
}

func TestRequest(t *testing.T) {
	s, account, dirs := session(t), job.Account{UID: 1}, ipc.Dirs{Builds: testutil.AbsPath(t, "/b")}
	owner := proctree.Process{PID: 9, Start: 8, Boot: "b"}
	got, err := s.Request(account, dirs, always)
	if err != nil {
		t.Fatal(err)
	}
	want := ipc.Job{
		ID: 1, Runner: "t0ken", Project: "g/p", ProjectID: 2, Timeout: 3, Owner: owner,
		Temp: testutil.AbsPath(t, "/b/g/p.tmp"), Helper: true, StepRunner: true, Image: true, Services: true, Path: []byte("/bin"),
		CustomBuilds: []byte("/c"), Misspelt: []ipc.Misspelt{{Name: "SCHEDULER_PARAMETER", Meant: "SCHEDULER_PARAMETERS"}}, NoProfile: true, Login: []job.Env{env(t, "LANG=C.UTF-8")},
	}
	if !reflect.DeepEqual(got.Job, want) {
		t.Errorf("job %+v\nwant %+v", got.Job, want)
	}
	if got.Stage != job.Run || got.SubStage != "build_script" || got.Account.UID != 1 || got.Dirs != dirs {
		t.Errorf("request %+v", got)
	}
	if got.Settings.Executor != "slurm" || got.Settings.Batch == nil || len(got.Settings.Batch.Rules) != 1 {
		t.Errorf("settings %+v", got.Settings)
	}
}

// TestRequestHasEveryFact fails for a new member of ipc.Job that Request does not set.
func TestRequestHasEveryFact(t *testing.T) {
	b, err := session(t).Request(job.Account{}, ipc.Dirs{}, always)
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(b.Job)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not set", v.Type().Field(i).Name)
		}
	}
}

func TestRequestRefuses(t *testing.T) {
	s := session(t)
	request := func(matches Matches) (ipc.Request, error) {
		return s.Request(job.Account{}, ipc.Dirs{}, matches)
	}
	s.Call.SubStage = "../x"
	if _, err := request(always); err == nil || !strings.Contains(err.Error(), "cannot run the script: ") {
		t.Errorf("error %v", err)
	}
	s.Call.Stage = job.Prepare
	if r, err := request(always); err != nil || r.SubStage != "" {
		t.Errorf("prepare has the sub-stage %q, %v", r.SubStage, err)
	}
	wrong := errors.New("no such project")
	if _, err := request(func(config.Matcher) (bool, error) { return false, wrong }); !errors.Is(err, wrong) {
		t.Errorf("error %v, want that of the rule", err)
	}
}

func TestVariablesArePassedOn(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "/p/alice": "/p/alice", "not\nUTF-8 \xff": "not\nUTF-8 \xff", strings.Repeat("x", longestPath+5): strings.Repeat("x", longestPath),
	} {
		env := environ(t, "CUSTOM_ENV_CUSTOM_CI_BUILDS_DIR="+value, "CUSTOM_ENV_PATH="+value)
		s := &Session{Site: site(t), Env: env}
		if got := string(s.job().CustomBuilds); got != want {
			t.Errorf("%.20q became %.20q", value, got)
		}
		if got := string(s.job().Path); got != value {
			t.Errorf("the path %.20q became %.20q", value, got)
		}
	}
}
