// Package explain prints a whole decision, from the token to the account, for an
// administrator. It decides nothing: the steps are those of the packages that do.
package explain

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/job"
)

// Result is a decision from the token to the account.
type Result struct {
	Configuration job.AbsPath
	ID            claims.Identity
	Steps         []policy.Step
	// Account is the one that the decision is about, nil where it did not come to
	// that.
	Account *job.Account
	// Decided by the rules when nothing before them refused.
	Decision policy.Decision
}

// Token returns the steps of the token's rules. refusal is that of the first one
// that did not hold, nil if all do; without a signature those about form and
// key decide nothing.
func Token(refusal error, signed bool) []policy.Step {
	failing, known := idtoken.RuleOf(refusal)
	if refusal != nil && !known {
		failing = idtoken.RuleKey
	}
	var steps []policy.Step
	outcome, reason := policy.OK, ""
	for _, rule := range idtoken.AllRules() {
		step := policy.Step{Rule: policy.Rule(rule), Outcome: outcome, Reason: reason}
		switch {
		case refusal != nil && rule == failing:
			step.Outcome, step.Reason = policy.Deny, strings.TrimPrefix(refusal.Error(), string(rule)+": ")
			outcome, reason = policy.Skipped, "not looked at after the refusal"
		case !signed && formal(rule):
			step.Outcome, step.Reason = policy.Skipped, "claims alone have no form and no signature"
		}
		steps = append(steps, step)
	}
	return steps
}

// formal contains the rules about the token and not about its claims.
func formal(rule idtoken.Rule) bool {
	for _, r := range idtoken.AllRules() {
		if r == idtoken.RuleClaims {
			return false
		}
		if r == rule {
			return true
		}
	}
	return false
}

// Refused returns the first step that denies.
func (r Result) Refused() (policy.Step, bool) {
	for _, s := range r.Steps {
		if s.Outcome == policy.Deny {
			return s, true
		}
	}
	return policy.Step{}, false
}

// Write prints the result. Every value that came from a token or a script is made
// printable.
func (r Result) Write(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, line := range r.head() {
		fmt.Fprintf(table, "%s\t%s\n", line[0], job.Printable(line[1]))
	}
	fmt.Fprintln(table)
	for _, s := range r.Steps {
		row := fmt.Sprintf("%s\t%s\t%s", s.Rule, s.Outcome, job.Printable(s.Reason))
		fmt.Fprintln(table, strings.TrimRight(row, "\t"))
	}
	fmt.Fprintln(table)
	for _, line := range r.verdict() {
		fmt.Fprintf(table, "%s\t%s\n", line[0], job.Printable(line[1]))
	}
	return table.Flush()
}

// longestGroups bounds the account's groups in bytes: an administrator sees at a
// glance whether they are many, and id(1) shows them all.
const longestGroups = 1 << 10

func (r Result) head() [][2]string {
	id, head := r.ID, [][2]string{{"Configuration", r.Configuration.String()}}
	if id.User.Login == "" {
		return head
	}
	return append(head, [][2]string{
		{"Job", fmt.Sprintf("%s of pipeline %s (%s)", id.JobID, id.Pipeline.ID, id.Pipeline.Source)},
		{"Project", fmt.Sprintf("%s (%s)", id.Project.Path, id.Project.ID)},
		{"User", fmt.Sprintf("%s (%s)", id.User.Login, id.User.ID)},
	}...)
}

func (r Result) verdict() [][2]string {
	lines := [][2]string{{"Decision", "the job may run"}, {"By", string(r.Decision.Rule)}, {"Because", r.Decision.Reason}}
	if s, refused := r.Refused(); refused {
		lines = [][2]string{{"Decision", "the job is refused"}, {"By", string(s.Rule)}, {"Because", s.Reason}}
	}
	if a := r.Account; a != nil {
		lines = append(lines,
			[2]string{"Account", fmt.Sprintf("%s (uid %d, gid %d)", a.Name, a.UID, a.GID)},
			[2]string{"Groups", job.Shorten(a.Groups.String(), longestGroups)},
			[2]string{"Home", a.Home.String()}, [2]string{"Shell", a.Shell.String()})
	}
	return lines
}
