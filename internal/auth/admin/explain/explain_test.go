package explain

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/job"
)

// refusal is a real one of the package idtoken.
func refusal(t *testing.T) error {
	t.Helper()
	_, err := idtoken.Parse(job.NewSecret("a.b"))
	if rule, ok := idtoken.RuleOf(err); !ok || rule != idtoken.RuleForm {
		t.Fatal(err)
	}
	return err
}

// outcomes are the lines of Token for a few rules.
func outcomes(steps []policy.Step, rules ...idtoken.Rule) []policy.Outcome {
	var out []policy.Outcome
	for _, r := range rules {
		for _, s := range steps {
			if s.Rule == policy.Rule(r) {
				out = append(out, s.Outcome)
			}
		}
	}
	return out
}

func TestTokenSteps(t *testing.T) {
	rules := []idtoken.Rule{idtoken.RuleAbsent, idtoken.RuleForm, idtoken.RuleKey, idtoken.RuleClaims, idtoken.RuleRunner}
	for name, tc := range map[string]struct {
		refusal error
		signed  bool
		want    []policy.Outcome
	}{
		"sound":             {nil, true, []policy.Outcome{policy.OK, policy.OK, policy.OK, policy.OK, policy.OK}},
		"refused":           {refusal(t), true, []policy.Outcome{policy.OK, policy.Deny, policy.Skipped, policy.Skipped, policy.Skipped}},
		"sound claims":      {nil, false, []policy.Outcome{policy.Skipped, policy.Skipped, policy.Skipped, policy.OK, policy.OK}},
		"no keys to be had": {errors.New("server down"), true, []policy.Outcome{policy.OK, policy.OK, policy.Deny, policy.Skipped, policy.Skipped}},
	} {
		t.Run(name, func(t *testing.T) {
			steps := Token(tc.refusal, tc.signed)
			if len(steps) != len(idtoken.AllRules()) {
				t.Errorf("%d steps", len(steps))
			}
			if diff := cmp.Diff(tc.want, outcomes(steps, rules...)); diff != "" {
				t.Error(diff)
			}
			_, refused := Result{Steps: steps}.Refused()
			if refused != (tc.refusal != nil) {
				t.Error("the result does not end as the token does")
			}
		})
	}
}

func result(t *testing.T) Result {
	t.Helper()
	name, err := job.ParseUsername("alice")
	if err != nil {
		t.Fatal(err)
	}
	path := func(s string) job.AbsPath {
		p, err := job.ParseAbsPath(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return Result{
		Configuration: path("/etc/x.toml"),
		ID: claims.Identity{
			JobID: 9, Pipeline: claims.Pipeline{ID: 70, Source: "push"}, Project: claims.Project{ID: 7, Path: "hpc/solver"},
			User: claims.User{ID: 42, Login: "al\x1bice"},
		},
		Steps: []policy.Step{
			{Rule: "token: form", Outcome: policy.OK}, {Rule: policy.Root, Outcome: policy.OK, Reason: "not root"}, {Rule: policy.UserAllow, Outcome: policy.Skipped, Reason: "not set"},
		},
		Account:  &job.Account{Name: name, UID: 1001, GID: 100, Home: path("/home/alice"), Shell: path("/bin/bash"), Groups: job.GIDs{100, 4000, 4001, 4002}},
		Decision: policy.Decision{Allowed: true, Rule: policy.Default, Reason: "no rule refuses the job"},
	}
}

func TestWriteAllowed(t *testing.T) {
	var b strings.Builder
	if err := result(t).Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `Configuration  /etc/x.toml
Job            9 of pipeline 70 (push)
Project        hpc/solver (7)
User           al?ice (42)

token: form     ok
root            ok       not root
user_allowlist  skipped  not set

Decision  the job may run
By        default
Because   no rule refuses the job
Account   alice (uid 1001, gid 100)
Groups    100,4000-4002
Home      /home/alice
Shell     /bin/bash
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestWriteRefused(t *testing.T) {
	w := result(t)
	w.Account = nil
	w.Steps[1] = policy.Step{Rule: policy.Root, Outcome: policy.Deny, Reason: "root has user id 0"}
	w.Steps = append(w.Steps, policy.Step{Rule: policy.MinUID, Outcome: policy.Deny, Reason: "later"})
	var b strings.Builder
	if err := w.Write(&b); err != nil {
		t.Fatal(err)
	}
	_, verdict, _ := strings.Cut(b.String(), "Decision")
	if want := "  the job is refused\nBy        root\nBecause   root has user id 0\n"; verdict != want {
		t.Errorf("got %q", verdict)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWritingCanFail(t *testing.T) {
	if result(t).Write(full{}) == nil {
		t.Error("a result that cannot be printed looks printed")
	}
}
