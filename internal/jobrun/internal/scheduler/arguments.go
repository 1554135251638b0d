package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Text is scheduler arguments as a job's author wrote them, with the name of the
// variable.
type Text struct{ Name, Text string }

// Rule is a site's arguments for the jobs that it matched, word by word, with
// the name by which an error calls it.
type Rule struct {
	Name  string
	Words []string
	// Required arguments cannot be contradicted by the job's; others give way.
	Required bool
}

// Request is everything that decides the arguments of one submission.
type Request struct {
	Defaults []string
	Rules    []Rule
	User     []Text
	// AllowReserved drops reserved arguments of the user with a warning.
	AllowReserved bool
}

// Resolve settles the arguments: defaults, overruled by rules that are defaults,
// overruled by the job's own, and the required ones. Warnings are for the job's
// log.
func (g Grammar) Resolve(r Request) (args []Argument, warnings []string, err error) {
	user, warnings, err := g.user(r)
	if err != nil {
		return nil, nil, err
	}
	required, weak, err := g.site(r)
	if err != nil {
		return nil, nil, err
	}
	user, err = applyRequired(user, required)
	if err != nil {
		return nil, nil, err
	}
	return slices.Concat(dropOverridden(weak, slices.Concat(user, required)), user, required), warnings, nil
}

// Words are the words of the arguments, in their order.
func Words(args []Argument) (words []string) {
	for _, a := range args {
		words = append(words, a.Words...)
	}
	return words
}

// user reads the job's own texts.
func (g Grammar) user(r Request) (args []Argument, warnings []string, err error) {
	for _, t := range r.User {
		parsed, err := g.read(t)
		if err != nil {
			return nil, nil, unreadable(t.Name, err)
		}
		for _, a := range parsed {
			a.Source = Source{Name: t.Name}
			switch {
			case !a.Reserved:
				args = append(args, a)
			case r.AllowReserved:
				warnings = append(warnings, fmt.Sprintf("%s: %s is set by Jacamar; yours is left out", t.Name, a.Flag))
			default:
				return nil, nil, failure.Buildf("%s has the argument %q, but %s is set by Jacamar", t.Name, job.Clip(a.Words[0]), a.Flag).
					WithHint("remove %s from %s", a.Flag, t.Name)
			}
		}
	}
	return args, warnings, nil
}

// unreadable is the failure of a job whose arguments cannot be read.
func unreadable(name string, err error) error {
	f := failure.Buildf("%s: %w", name, err)
	if m := (misuse{}); errors.As(err, &m) {
		return f.WithHint("%s", m.cure)
	}
	return f
}

// site reads the defaults and the rules. A fault there is the administrators'.
func (g Grammar) site(r Request) (required, weak []Argument, err error) {
	if weak, err = g.siteWords("default_args", r.Defaults); err != nil {
		return nil, nil, err
	}
	for _, rule := range r.Rules {
		got, err := g.siteWords(rule.Name, rule.Words)
		switch {
		case err != nil:
			return nil, nil, err
		case rule.Required: // the last rule that matched wins
			required = append(dropOverridden(required, got), got...)
		default:
			weak = append(dropOverridden(weak, got), got...)
		}
	}
	return required, weak, nil
}

func (g Grammar) siteWords(name string, words []string) ([]Argument, error) {
	args, err := g.Parse(words)
	if err != nil {
		return nil, failure.Systemf("the site's %s: %w", name, err)
	}
	for i, a := range args {
		if a.Reserved {
			return nil, failure.Systemf("the site's %s has %s, which is set by Jacamar", name, a.Flag)
		}
		args[i].Source = Source{Name: name, Site: true}
	}
	return args, nil
}

func (g Grammar) read(t Text) ([]Argument, error) {
	words, err := Split(t.Text)
	if err != nil {
		return nil, err
	}
	return g.Parse(words)
}

// applyRequired removes what repeats a required argument and refuses what contradicts it.
func applyRequired(user, required []Argument) ([]Argument, error) {
	var kept []Argument
next:
	for _, a := range user {
		for _, req := range required {
			switch {
			case !a.couldBe(req.Name):
				continue
			case a.Name != req.Name:
				return nil, failure.Buildf("%q could contradict %q, which %s requires of this job", shown(a), shown(req), req.Source.Name).
					WithHint("write the option out: --%s", strings.Join(a.Among, " or --"))
			case a.Value != req.Value:
				return nil, failure.Buildf("%q contradicts %q, which %s requires of this job", shown(a), shown(req), req.Source.Name)
			}
			continue next
		}
		kept = append(kept, a)
	}
	return kept, nil
}

func shown(a Argument) string { return strings.Join(a.Words, " ") }

// dropOverridden returns the arguments of weak that no argument of strong repeats. An
// abbreviation that could be one of several repeats none: the program takes the
// last of two, which is the strong one.
func dropOverridden(weak, strong []Argument) []Argument {
	var kept []Argument
	for _, w := range weak {
		if !slices.ContainsFunc(strong, func(s Argument) bool { return s.Name == w.Name }) {
			kept = append(kept, w)
		}
	}
	return kept
}

// couldBe reports whether the argument is the option, or an abbreviation of which
// nobody but the program's version says that it is not.
func (a Argument) couldBe(name string) bool { return a.Name == name || slices.Contains(a.Among, name) }
