// Package authz tests, through the built programs, who may run jobs and as whom: tokens,
// keys, accounts, lists, RunAs, and the messages and records about it.
//
// Each case is one job or one call of the driver. It names its row of
// docs/security/ledger.md, the project's list of attacks.
package authz

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

func TestMain(m *testing.M) {
	syscalls.Main()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	// Many cases wait for a time limit, so more of them than there are processors
	// can run at once.
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	defer func() {
		if peopleNamespace.stop != nil {
			peopleNamespace.stop()
		}
	}()
	return site.Main(m)
}

// base is the site of which all cases use siblings.
var base struct {
	once sync.Once
	site *site.Site
	err  error
}

// common is one site for the whole process, with cached keys of its GitLab.
func common(t testing.TB) *site.Site {
	t.Helper()
	base.once.Do(func() {
		install, err := site.Installed()
		if err == nil {
			base.site, err = install.Open()
		}
		base.err = err
	})
	if base.err != nil {
		t.Fatal(base.err)
	}
	return base.site
}

// newSibling is a site for one case, which keeps its records. The keys are cached
// already.
func newSibling(t testing.TB, change ...func(site.Config)) *site.Site {
	t.Helper()
	s := common(t).NewSibling(t)
	reconfigure(t, s, func(_ *site.Site, c site.Config) {
		for _, f := range change {
			f(c)
		}
	})
	return s
}

// reconfigure replaces what a site of newSibling has of its own; nil is for nothing.
func reconfigure(t testing.TB, s *site.Site, change func(*site.Site, site.Config)) {
	t.Helper()
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("general", "state_dir", common(t).StateDir)
		c.Set("auth", "logging", logging(s))
		if change != nil {
			change(s, c)
		}
	}))
}

func logFile(s *site.Site) string { return filepath.Join(s.Dir, "operator.log") }

// logging writes the records of one site to a file of its own.
func logging(s *site.Site) site.Table {
	return site.Table{"enabled": true, "level": "debug", "location": logFile(s)}
}

// keepLog creates the file of the records for the account that owns the state, which
// writes them.
func keepLog(t testing.TB, s *site.Site) {
	t.Helper()
	testutil.Must(t, os.WriteFile(logFile(s), nil, 0o600))
	testutil.Must(t, os.Chown(logFile(s), int(s.StateOwner().UID), int(s.StateOwner().GID)))
}

// record is a record of the operator's log.
type record struct {
	Event, Decision, Rule, Reason, Exit, Stage, Login, Project, Account, Level, JTI, Name string
	SubStage                                                                              string `json:"sub_stage"`
	Job, Pipeline, Runner                                                                 int64
	ProjectID                                                                             int64 `json:"project_id"`
	UserID                                                                                int64 `json:"user_id"`
	UID                                                                                   *uint32
	ExitCode                                                                              int `json:"exit_code"`
	Duration                                                                              float64
}

func records(t testing.TB, s *site.Site) []record {
	t.Helper()
	text, err := os.ReadFile(logFile(s))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var all []record
	for line := range strings.Lines(string(text)) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, r)
	}
	return all
}

// decisions are the records of one kind of event.
func events(t testing.TB, s *site.Site, event string) []record {
	t.Helper()
	var out []record
	for _, r := range records(t, s) {
		if r.Event == event {
			out = append(out, r)
		}
	}
	return out
}

// The lines that a user may read when a job does not run.
const (
	refused       = "ERROR: you are not allowed to run CI jobs on this resource"
	misconfigured = "ERROR: this CI resource is not set up correctly"
	failed        = "ERROR: this CI resource could not run the job"
)

// lineOf is the message to a user about a refusal by the rule: it has details only where
// the user can act.
func lineOf(rule string) string {
	switch rule {
	case "account_unknown":
		return "ERROR: there is no account "
	case "token: audience":
		return "ERROR: the job's id_token has "
	case "token: expired":
		return "ERROR: the job's id_token has expired: it was valid until "
	case "enforce_nologin":
		return "ERROR: this CI resource takes no jobs now: "
	case "token: time":
		return failed
	}
	return refused
}

// temporary are the rules whose refusal is by the state of the resource; see the decision
// "a refusal is final".
var temporary = []string{"token: time", "account_unknown", "enforce_nologin", "drain", "state"}

// classOf is how the runner reports a refusal.
func classOf(rule string) fakerunner.Outcome {
	if slices.Contains(temporary, rule) {
		return fakerunner.SystemFailure
	}
	return fakerunner.ScriptFailure
}

// attempt is one job and its expected result.
type attempt struct {
	name   string
	change func(*site.Site, site.Config)
	// job is the job, the site's own where nil.
	job func(*site.Site) fakerunner.Job
	// rule must decide that the job may not run. Without a rule the job must
	// succeed, unless line is set.
	rule string
	// temporary reports that the rule could not decide, so that the runner tries again.
	temporary bool
	// line is what the user must read where that is not a refusal.
	line string
	// decided reports that the job was allowed and failed afterwards.
	decided bool
	// anything accepts every result; only see or after check the job.
	anything bool
	// as is the account that a job must run as.
	as string
	// runner is the runner, the site's own where nil.
	runner func(*site.Site) *fakerunner.Runner
	// see checks a job that ran.
	see func(*testing.T, *site.Site, fakerunner.Result)
	// after checks one that did not.
	after func(*testing.T, *site.Site, fakerunner.Result)
}

func attempts(t *testing.T, all []attempt) {
	t.Helper()
	t.Parallel()
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			a.try(t)
		})
	}
}

func (a attempt) try(t *testing.T) {
	t.Helper()
	s := newSibling(t)
	reconfigure(t, s, a.change)
	j := s.Job("id -un")
	if a.job != nil {
		j = a.job(s)
	}
	r := s.Runner()
	if a.runner != nil {
		r = a.runner(s)
	}
	a.judge(t, s, r.Run(j))
}

func (a attempt) judge(t *testing.T, s *site.Site, r fakerunner.Result) {
	t.Helper()
	if a.anything {
		a.after(t, s, r)
		return
	}
	line, class := a.line, classOf(a.rule)
	if a.rule != "" && line == "" {
		line = lineOf(a.rule)
	}
	if a.temporary {
		line, class = failed, fakerunner.SystemFailure
	}
	if line == "" {
		ran(t, s, r, a.as)
		if a.see != nil {
			a.see(t, s, r)
		}
		return
	}
	stopped(t, s, r, line)
	if a.rule != "" && (r.Outcome != class || r.Outcome == fakerunner.ScriptFailure && configs(r) != 1) {
		t.Errorf("the job ended as %s after %d calls of config", r.Outcome, configs(r))
	}
	if a.after != nil {
		a.after(t, s, r)
	}
	denials := events(t, s, "decision")
	switch {
	case a.decided:
	case a.rule == "" && len(denials) > 0:
		t.Errorf("a decision was made: %+v", denials[0])
	case a.rule != "" && len(denials) == 0:
		t.Errorf("no decision was recorded:\n%s", output(r))
	case a.rule != "" && (denials[0].Decision != "deny" || denials[0].Rule != a.rule):
		t.Errorf("recorded %s by %q (%s), want a denial by %q", denials[0].Decision, denials[0].Rule, denials[0].Reason, a.rule)
	}
}

// configs counts the calls of the config stage.
func configs(r fakerunner.Result) (n int) {
	for _, c := range r.Calls {
		if c.Stage == "config" {
			n++
		}
	}
	return n
}

// ran checks that a job succeeded as the expected account.
func ran(t *testing.T, s *site.Site, r fakerunner.Result, as string) {
	t.Helper()
	if r.Outcome != fakerunner.Success {
		t.Fatalf("the job ended as %s:\n%s\n%+v", r.Outcome, output(r), events(t, s, "decision"))
	}
	if as == "" {
		as = s.Account.Name
	}
	script, _ := r.Call("build_script")
	if !strings.Contains("\n"+string(script.Stdout), "\n"+as+"\n") {
		t.Errorf("the job did not run as %s:\n%s", as, script.Stdout)
	}
	for _, d := range events(t, s, "decision") {
		if d.Decision != "allow" || d.Rule == "" {
			t.Errorf("a job that ran has the record %+v", d)
		}
	}
}

// stopped checks that no script of a job ran, that the job ended soon, and that its user
// reads the one line without internals.
func stopped(t *testing.T, s *site.Site, r fakerunner.Result, line string) {
	t.Helper()
	if r.Outcome != fakerunner.SystemFailure && r.Outcome != fakerunner.ScriptFailure {
		t.Errorf("the job ended as %s", r.Outcome)
	}
	for _, c := range r.Calls {
		if c.Stage != "config" && c.Stage != "cleanup" {
			t.Errorf("the stage %s was called", c.Stage)
		}
	}
	config, _ := r.Call("config")
	if len(config.Stdout) != 0 || !strings.Contains(string(config.Stderr), line) || strings.Count(string(config.Stderr), "jacamar: ") > 2 {
		t.Errorf("config wrote %q and %q, want the line %q", config.Stdout, config.Stderr, line)
	}
	for _, inside := range []string{s.Dir, common(t).StateDir, "token:", "uid ", "allowlist", "goroutine"} {
		if strings.Contains(string(config.Stderr), inside) {
			t.Errorf("the user reads %q in %q", inside, config.Stderr)
		}
	}
}

// output is the driver's whole output.
func output(r fakerunner.Result) string {
	var b strings.Builder
	for _, c := range r.Calls {
		b.WriteString(c.Stage + ": " + string(c.Stdout) + string(c.Stderr) + "\n")
	}
	return b.String()
}
