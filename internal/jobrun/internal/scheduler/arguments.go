package scheduler

import (
	"fmt"
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
func (g Grammar) Resolve(r Request) (args, warnings []string, err error) {
	user, warnings, err := g.user(r)
	if err != nil {
		return nil, nil, err
	}
	required, weak, err := g.site(r)
	if err != nil {
		return nil, nil, err
	}
	user, err = obey(user, required)
	if err != nil {
		return nil, nil, err
	}
	all := append(giveWay(weak, append(user, names(required)...)), user...)
	for _, req := range required {
		all = append(all, req.Argument)
	}
	for _, a := range all {
		args = append(args, a.Words...)
	}
	return args, warnings, nil
}

// user reads the job's own texts.
func (g Grammar) user(r Request) (args []Argument, warnings []string, err error) {
	for _, t := range r.User {
		parsed, err := g.read(t)
		if err != nil {
			return nil, nil, failure.Buildf("%s: %w", t.Name, err)
		}
		for _, a := range parsed {
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

// requirement is a required argument and the rule that wants it.
type requirement struct {
	Argument
	rule string
}

// site reads the defaults and the rules. A fault there is the administrators'.
func (g Grammar) site(r Request) (required []requirement, weak []Argument, err error) {
	if weak, err = g.siteWords("default_args", r.Defaults); err != nil {
		return nil, nil, err
	}
	for _, rule := range r.Rules {
		got, err := g.siteWords(rule.Name, rule.Words)
		if err != nil {
			return nil, nil, err
		}
		if !rule.Required {
			weak = append(giveWay(weak, got), got...)
			continue
		}
		required = overrule(required, rule.Name, got)
	}
	return required, weak, nil
}

// overrule adds a rule's arguments; the last rule that matched wins over those
// before it, option by option.
func overrule(required []requirement, rule string, args []Argument) []requirement {
	var kept []requirement
	for _, r := range required {
		if !has(args, r.Name) {
			kept = append(kept, r)
		}
	}
	for _, a := range args {
		kept = append(kept, requirement{a, rule})
	}
	return kept
}

func (g Grammar) siteWords(name string, words []string) ([]Argument, error) {
	args, err := g.Parse(words)
	if err != nil {
		return nil, failure.Systemf("the site's %s: %w", name, err)
	}
	for _, a := range args {
		if a.Reserved {
			return nil, failure.Systemf("the site's %s has %s, which is set by Jacamar", name, a.Flag)
		}
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

// obey removes what repeats a required argument and refuses what contradicts it.
func obey(user []Argument, required []requirement) ([]Argument, error) {
	var kept []Argument
next:
	for _, a := range user {
		for _, req := range required {
			if a.Name != req.Name {
				continue
			}
			if a.Value != req.Value {
				return nil, failure.Buildf("%q contradicts %q, which %s requires of this job",
					strings.Join(a.Words, " "), strings.Join(req.Words, " "), req.rule)
			}
			continue next
		}
		kept = append(kept, a)
	}
	return kept, nil
}

// giveWay returns the arguments of weak that no argument of strong repeats.
func giveWay(weak, strong []Argument) []Argument {
	var kept []Argument
	for _, w := range weak {
		if !has(strong, w.Name) {
			kept = append(kept, w)
		}
	}
	return kept
}

func has(args []Argument, name string) bool {
	for _, a := range args {
		if a.Name == name {
			return true
		}
	}
	return false
}

func names(required []requirement) []Argument {
	var args []Argument
	for _, r := range required {
		args = append(args, r.Argument)
	}
	return args
}
