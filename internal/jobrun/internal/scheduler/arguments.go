package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// UserText contains scheduler arguments as the job's author wrote them, and the name of
// the variable.
type UserText struct{ Name, Text string }

// Rule contains a site's arguments for matching jobs, and the rule's name in messages.
type Rule struct {
	Name  string
	Words []string
	// Required arguments cannot be overridden by the job; others can.
	Required bool
}

// Request is everything that decides the arguments of one submission.
type Request struct {
	Defaults []string
	Rules    []Rule
	User     []UserText
	// AllowReserved drops reserved arguments of the user with a warning.
	AllowReserved bool
}

// Resolve combines the arguments: the defaults, overridden by rules that are not
// required, overridden by the job's own, and the required ones. Warnings are for the
// job's log.
func (g Grammar) Resolve(r Request) (args []Argument, warnings []string, err error) {
	user, warnings, err := g.userArguments(r)
	if err != nil {
		return nil, nil, err
	}
	required, optional, err := g.siteArguments(r)
	if err != nil {
		return nil, nil, err
	}
	user, err = applyRequired(user, required)
	if err != nil {
		return nil, nil, err
	}
	return slices.Concat(dropOverridden(optional, slices.Concat(user, required)), user, required), warnings, nil
}

// Words are the words of the arguments, in order.
func Words(args []Argument) (words []string) {
	for _, a := range args {
		words = append(words, a.Words...)
	}
	return words
}

// userArguments parses the job's own arguments.
func (g Grammar) userArguments(r Request) (args []Argument, warnings []string, err error) {
	for _, t := range r.User {
		parsed, err := g.parseUserText(t)
		if err != nil {
			return nil, nil, parseError(t.Name, err)
		}
		for _, a := range parsed {
			a.Source = Source{Name: t.Name}
			switch {
			case !a.Reserved:
				args = append(args, a)
			case r.AllowReserved:
				warnings = append(warnings, fmt.Sprintf("%s: %s is set by Jacamar; your value is ignored", t.Name, a.Flag))
			default:
				return nil, nil, failure.Buildf("%s has the argument %q, but %s is set by Jacamar", t.Name, job.Clip(a.Words[0]), a.Flag).
					WithHint("remove %s from %s", a.Flag, t.Name)
			}
		}
	}
	return args, warnings, nil
}

// parseError is the failure of a job whose arguments cannot be parsed.
func parseError(name string, err error) error {
	f := failure.Buildf("%s: %w", name, err)
	if m, ok := errors.AsType[misuseError](err); ok {
		return f.WithHint("%s", m.fix)
	}
	return f
}

// siteArguments parses the defaults and the rules. An error in them is a system failure.
func (g Grammar) siteArguments(r Request) (required, optional []Argument, err error) {
	if optional, err = g.siteWords("default_args", r.Defaults); err != nil {
		return nil, nil, err
	}
	for _, rule := range r.Rules {
		got, err := g.siteWords(rule.Name, rule.Words)
		switch {
		case err != nil:
			return nil, nil, err
		case rule.Required: // the last matching rule takes precedence
			required = append(dropOverridden(required, got), got...)
		default:
			optional = append(dropOverridden(optional, got), got...)
		}
	}
	return required, optional, nil
}

// SitesHint is the fix for an argument that is not the job's.
const SitesHint = "the argument is not one of the job's: ask the resource's administrators to correct it"

func (g Grammar) siteWords(name string, words []string) ([]Argument, error) {
	args, err := g.Parse(words)
	if err != nil {
		return nil, failure.Systemf("the site's %s: %w", name, err).WithHint(SitesHint)
	}
	for i, a := range args {
		if a.Reserved {
			return nil, failure.Systemf("the site's %s contains %s, which is set by Jacamar", name, a.Flag).WithHint(SitesHint)
		}
		args[i].Source = Source{Name: name, Site: true}
	}
	return args, nil
}

func (g Grammar) parseUserText(t UserText) ([]Argument, error) {
	words, err := Split(t.Text)
	if err != nil {
		return nil, err
	}
	return g.Parse(words)
}

// applyRequired removes arguments that repeat a required one and rejects those that
// contradict it.
func applyRequired(user, required []Argument) ([]Argument, error) {
	var kept []Argument
next:
	for _, a := range user {
		for _, req := range required {
			switch {
			case !a.CouldBe(req.Name):
				continue
			case a.Name != req.Name:
				return nil, failure.Buildf("%q could contradict %q, which %s requires of this job", argumentText(a), argumentText(req), req.Source.Name).
					WithHint("write the full option: --%s", strings.Join(a.Candidates, " or --"))
			case a.Value != req.Value:
				return nil, failure.Buildf("%q contradicts %q, which %s requires of this job", argumentText(a), argumentText(req), req.Source.Name)
			}
			continue next
		}
		kept = append(kept, a)
	}
	return kept, nil
}

func argumentText(a Argument) string { return strings.Join(a.Words, " ") }

// dropOverridden returns the arguments that no overriding argument repeats. An ambiguous
// abbreviation repeats none: the program takes the last of two, which is the overriding
// one.
func dropOverridden(args, overriding []Argument) []Argument {
	var kept []Argument
	for _, a := range args {
		if !slices.ContainsFunc(overriding, func(o Argument) bool { return o.Name == a.Name }) {
			kept = append(kept, a)
		}
	}
	return kept
}

// CouldBe reports whether the argument is the option, or an abbreviation that some
// version of the program may take for it.
func (a Argument) CouldBe(name string) bool {
	return a.Name == name || slices.Contains(a.Candidates, name)
}
