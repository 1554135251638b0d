package check

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/auth/admin/trial"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/config"
	"jacamar-ci/test/harness/testutil"
)

// TestNeeds: a check runs where this account has what it looks at.
func TestNeeds(t *testing.T) {
	none, open, closed := Site{}, Site{Config: &config.Config{}}, Site{Config: &config.Config{}, Closed: true}
	for n, want := range map[needs][3]bool{nothing: {true, true, true}, configured: {false, true, true}, keeper: {false, true, false}} {
		if got := [3]bool{n.met(none), n.met(open), n.met(closed)}; got != want {
			t.Errorf("%d: %v, want %v", n, got, want)
		}
	}
}

// TestRun: without a configuration the rest is checked all the same, the result is a failure,
// and the report has what was left out.
func TestRun(t *testing.T) {
	s := Site{File: testutil.AbsPath(t, "/nonexistent/jacamar.toml"), Auth: testutil.AbsPath(t, "/nonexistent/jacamar-auth"), Jacamar: testutil.AbsPath(t, "/nonexistent/jacamar"), Err: errors.New("no such file"), Names: account.System(nil, nil)}
	r := Run(t.Context(), s)
	last := r.Lines[len(r.Lines)-1]
	if r.Result != Fail || r.Configuration != s.File.String() || last.Result != Skip || !slices.ContainsFunc(r.Lines, by("name-service")) || slices.ContainsFunc(r.Lines, by("shells")) {
		t.Errorf("%+v", r)
	}
	s.Config, s.Err, s.Closed = &config.Config{}, nil, true
	s.Config.General.Name = "one"
	r = Run(t.Context(), s)
	if r.Name != "one" || !slices.ContainsFunc(r.Lines, by("shells")) || slices.ContainsFunc(r.Lines, by("log")) || slices.ContainsFunc(r.Lines, func(l Line) bool { return l.Result == Skip }) {
		t.Errorf("%+v", r)
	}
	for _, l := range r.Lines {
		if l.ID == "" || l.Check == "" {
			t.Errorf("a line without a name: %+v", l)
		}
	}
}

func by(id string) func(Line) bool { return func(l Line) bool { return l.ID == id } }

func TestTrialJob(t *testing.T) {
	found(t, trialJob(t.Context(), Site{}))
	s := Site{Trial: &Trial{Account: "alice", Run: func(context.Context) (trial.Result, error, error) {
		return trial.Result{Account: "alice"}, nil, nil
	}}}
	found(t, trialJob(t.Context(), s), "ok a job of alice ran through all stages")
}

// TestJudgeTrial: what an administrator learns of a job of an account.
func TestJudgeTrial(t *testing.T) {
	good := []trial.Stage{{Name: "config", Took: time.Second}, {Name: "run", Took: 1500 * time.Millisecond, Log: "hello\n"}}
	failed := func(s trial.Stage) []trial.Stage { return append(slices.Clone(good), s) }
	for name, tt := range map[string]struct {
		stages    []trial.Stage
		left, err error
		want      []string
		fix       string
	}{
		"well":                  {good, nil, nil, []string{"ok ran through all stages as alice, in 2.5s"}, ""},
		"not started":           {nil, nil, errors.New("no account"), []string{"fail no job of alice was tried: no account"}, "check again"},
		"interrupted":           {good, errors.New("/tmp/x is left"), context.Canceled, []string{"warn /tmp/x is left", "fail was tried: context canceled"}, "remove it"},
		"something left":        {good, errors.New("/tmp/x is left"), nil, []string{"warn /tmp/x is left"}, "remove it"},
		"warnings":              {failed(trial.Stage{Name: "cleanup", Log: "x\njacamar: WARNING: slow \n"}), nil, nil, []string{"warn a job of alice warns in cleanup: slow"}, "troubleshooting"},
		"a failure with a hint": {failed(trial.Stage{Name: "run", Status: 2, Log: "jacamar: ERROR: no Bash\ninstall it\n"}), nil, nil, []string{"fail a job of alice fails in run: no Bash"}, "install it"},
		"a failure without one": {failed(trial.Stage{Name: "run", Status: 2, Log: "jacamar: ERROR: no Bash\n"}), nil, nil, []string{"fail no Bash"}, "selftest --account alice"},
	} {
		t.Run(name, func(t *testing.T) {
			got := judgeTrial("alice", trial.Result{Stages: tt.stages, Account: "alice"}, tt.left, tt.err)
			found(t, got, tt.want...)
			if !strings.Contains(fixes(got), tt.fix) || tt.fix != "" && strings.Contains(fixes(got), "selftest") != strings.Contains(tt.fix, "selftest") {
				t.Errorf("%q, want %q", fixes(got), tt.fix)
			}
		})
	}
}
