package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/admin/explain"
	"jacamar-ci/internal/auth/admin/trial"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/runas"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// ExplainOptions is the job that an administrator asks about.
type ExplainOptions struct {
	Configuration string
	// Token and Response are files: the job's id_token and the runner's
	// JOB_RESPONSE_FILE. Claims is one with a token's claims alone.
	Token, Response, Claims string
	// User and Project describe a job instead: the login of its user at GitLab and the
	// path of its project. UserID is the user's number, "" for none.
	User, UserID, Project, Ref string
	// RunAs runs the site's validation script. Nothing else is ever started but getent.
	RunAs bool
	// Target is the account that the job would ask for.
	Target string
	// Image is what the job names as its image, "" for none or that of Response.
	Image string
	// Modules is what the job has in JACAMAR_CI_CONTAINER_MODULES.
	Modules string
}

// The exit statuses of Explain.
const (
	explainedAllow = 0
	explainedDeny  = 1
	notExplained   = 2
)

// Explain repeats the decision about a job and prints the result of each rule.
func Explain(o ExplainOptions) int {
	err := refuseClosed()
	var result explain.Result
	if err == nil {
		result, err = explainJob(context.Background(), o)
	}
	if err == nil {
		err = result.Write(os.Stdout)
	}
	if err != nil {
		return fail(err, notExplained)
	}
	if _, refused := result.Refused(); refused {
		return explainedDeny
	}
	return explainedAllow
}

func explainJob(ctx context.Context, o ExplainOptions) (r explain.Result, err error) {
	i, err := openWhole(o.Configuration, &o.Token, &o.Response, &o.Claims)
	if err != nil {
		return r, err
	}
	r.Configuration = i.File()
	if r.ID, r.Steps, err = explainToken(ctx, i, o); err != nil || r.ID.User.Login == "" {
		return r, err
	}
	i.SetIdentity(r.ID)
	rules, err := i.Rules()
	if err != nil {
		return r, err
	}
	err = explainAccount(ctx, i, o, rules, &r)
	return r, err
}

// explainAccount adds the steps from the choice of an account to the decision.
func explainAccount(ctx context.Context, i auth.Installation, o ExplainOptions, rules policy.Rules, r *explain.Result) error {
	candidate, choice := policy.Choose(r.ID, rules)
	if r.Steps = append(r.Steps, choice.Steps...); !choice.Allowed {
		return nil
	}
	candidate, steps, err := explainRunAs(ctx, i, o, candidate, rules)
	if r.Steps = append(r.Steps, steps...); err != nil || candidate.Login() == (job.Username{}) {
		return err
	}
	facts, err := i.Facts(ctx, candidate.Login(), rules)
	if unknown, ok := errors.AsType[account.UnknownError](err); ok {
		r.Steps = append(r.Steps, policy.Step{Rule: auth.RuleUnknown, Outcome: policy.Deny, Reason: unknown.Error()})
		return nil
	}
	if err != nil {
		return err
	}
	_, r.Decision = policy.Decide(r.ID, candidate, facts, rules)
	r.Steps, r.Account = append(r.Steps, r.Decision.Steps...), &facts.Account
	step, err := explainImage(i, o, facts.Account.Name)
	r.Steps = append(r.Steps, step)
	return err
}

// explainToken judges the token or the claims, and reads them in any case: an
// administrator wants to see everything that stands in the way of a job, and the token
// of an ended job has expired.
func explainToken(ctx context.Context, i auth.Installation, o ExplainOptions) (claims.Identity, []policy.Step, error) {
	if o.Token == "" {
		payload, err := claimed(i, o)
		if err != nil {
			return claims.Identity{}, nil, err
		}
		id, err := idtoken.Examine(payload, i.TokenRules(), claims.Expected{}, time.Now())
		return id, explain.Token(err, false), nil
	}
	if err := readResponse(i, o.Response); err != nil {
		return claims.Identity{}, nil, err
	}
	raw, err := readFile(o.Token)
	if err != nil {
		return claims.Identity{}, nil, err
	}
	token, err := idtoken.Parse(job.NewSecret(strings.TrimRight(string(raw), "\r\n")))
	if err != nil {
		return claims.Identity{}, explain.Token(err, true), nil
	}
	id, refusal := verify(ctx, i, token)
	if refusal != nil {
		id, _ = idtoken.Examine(token.UnverifiedClaims(), i.TokenRules(), i.ExpectedClaims(), time.Now())
	}
	return id, explain.Token(refusal, true), nil
}

// claimed are the claims of a file, or of a job that the command line describes. What
// only identifies a token is filled in: it is not what the administrator asks about.
func claimed(i auth.Installation, o ExplainOptions) ([]byte, error) {
	var values map[string]any
	if o.Claims != "" {
		text, err := readFile(o.Claims)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if d.Decode(&values) != nil || d.More() {
			return text, nil // refused as a token's claims are
		}
	} else {
		u, err := describedUser(i, o)
		if err != nil {
			return nil, err
		}
		values = trial.Claims(u, o.Project, o.Ref)
	}
	return json.Marshal(fillIn(values, i.TokenRules(), time.Now()))
}

// describedUser is the user of the command line. By an account map only the number
// counts; the file has none for a login.
func describedUser(i auth.Installation, o ExplainOptions) (u trial.User, err error) {
	u = userNamed(i, o.User)
	switch {
	case o.UserID != "":
		if u.ID, err = job.ParseID(o.UserID); err != nil {
			err = fmt.Errorf("--user-id: %w", err)
		}
	case i.Config().Auth.AccountSource == settings.Map:
		err = errors.New("the account map has numbers of users: give --user-id as well")
	}
	return u, err
}

// fillIn adds the claims by which a token is identified, where they are missing.
func fillIn(values map[string]any, rules idtoken.Rules, now time.Time) map[string]any {
	missing := map[string]any{
		"iss": rules.Issuer, "aud": rules.Audience, "jti": "explained", "iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"namespace_path": namespaceOf(values["project_path"]),
	}
	if len(rules.RunnerIDs) > 0 {
		missing["runner_id"] = rules.RunnerIDs[0]
	}
	for name, value := range missing {
		if _, given := values[name]; !given {
			values[name] = value
		}
	}
	return values
}

func namespaceOf(project any) string {
	text, _ := project.(string)
	return path.Dir(text)
}

func verify(ctx context.Context, i auth.Installation, token idtoken.Token) (claims.Identity, error) {
	keys, err := i.Keys(ctx)
	if err != nil {
		return claims.Identity{}, err
	}
	set, err := keys.Peek(ctx, token.KeyID(), time.Now())
	if err != nil {
		return claims.Identity{}, err
	}
	return token.Verify(set, i.TokenRules(), i.ExpectedClaims(), time.Now())
}

// explainRunAs gives no candidate where the decision ends here.
func explainRunAs(ctx context.Context, i auth.Installation, o ExplainOptions, c policy.Candidate, rules policy.Rules) (policy.Candidate, []policy.Step, error) {
	script, ok := i.RunAs()
	step := func(outcome policy.Outcome, format string, args ...any) []policy.Step {
		return []policy.Step{{Rule: auth.RuleRunAs, Outcome: outcome, Reason: fmt.Sprintf(format, args...)}}
	}
	if !ok {
		return c, step(policy.Skipped, "not set"), nil
	}
	groups, err := i.GroupsOf(ctx, c.Login(), rules)
	if err != nil {
		return policy.Candidate{}, nil, err
	}
	before := policy.PreValidate(c, groups, rules)
	if !before.Allowed {
		return policy.Candidate{}, before.Steps, nil
	}
	target, err := runas.ParseTarget(o.Target)
	if err != nil {
		return policy.Candidate{}, append(before.Steps, step(policy.Deny, "%v", err)...), nil
	}
	if !o.RunAs {
		return c, append(before.Steps, step(policy.Skipped, "%s would be asked about %s; --runas asks it now", script.Path, c.Login())...), nil
	}
	c, err = i.Validate(ctx, script, c, target)
	switch {
	case failure.KindOf(err) == failure.Denied:
		return policy.Candidate{}, append(before.Steps, step(policy.Deny, "%v", err)...), nil
	case err != nil:
		return policy.Candidate{}, nil, err
	}
	return c, append(before.Steps, step(policy.OK, "%s accepts %s", script.Path, c.Login())...), nil
}

// readResponse reads the job that the token is compared with. The file is an
// administrator's copy, so only its contents are judged.
func readResponse(i auth.Installation, path string) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	response, err := customexec.ParseResponse(text)
	if err != nil {
		return fmt.Errorf("cannot read the job response %s: %w", path, err)
	}
	i.SetJob(response)
	return nil
}

// maxFile bounds a file of the command line in bytes, as the runner's job response is
// bounded.
const maxFile = 64 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// explainImage is the decision about the image that the options name, or else the response
// of the job.
func explainImage(i auth.Installation, o ExplainOptions, account job.Username) (policy.Step, error) {
	step := policy.Step{Rule: auth.RuleImage, Outcome: policy.Skipped, Reason: "general.run_mechanism is not set: jobs run on the host"}
	if i.Config().General.RunMechanism == "" {
		return step, nil
	}
	named := image.Wish{Name: o.Image}
	if o.Image == "" && o.Response != "" {
		var err error
		if named, err = i.NamedImage(); err != nil {
			return step, err
		}
	}
	choice, err := i.ChooseImage(named, o.Modules, account)
	var refused *driver.ImageError
	switch {
	case errors.As(err, &refused):
		step.Outcome, step.Reason = policy.Deny, fmt.Sprintf("%v (%s)", refused, refused.Rule)
		return step, nil
	case err != nil:
		return step, err
	}
	step.Outcome, step.Reason = policy.OK, described(choice)
	return step, nil
}

// described is the reason of an image that is allowed.
func described(c driver.ImageChoice) string {
	rule := c.Rule
	if rule == "" {
		rule = "no rule is for the job"
	}
	switch {
	case c.Request == nil:
		return "no image is named: the job runs on the host; " + rule
	case !c.Request.Path.IsZero():
		return c.Request.Name() + " by container.local_images" + modulesText(c.Modules)
	}
	return fmt.Sprintf("%s (pull policy %s); %s", c.Request.Name(), job.Listed(c.Policies), rule) + modulesText(c.Modules)
}

// modulesText lists the modules of a job's containers.
func modulesText(modules []config.Module) string {
	if len(modules) == 0 {
		return ""
	}
	names := make([]string, len(modules))
	for n, m := range modules {
		names[n] = string(m.Name)
	}
	return "; modules " + strings.Join(names, ", ")
}
