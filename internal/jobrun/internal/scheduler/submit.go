package scheduler

import (
	"regexp"
	"strings"
)

// SubmitPatterns match a submit program's output. The outcome of a failed submission
// depends on complete sentences of the batch system itself, on the line that contains
// the error. Names of partitions, accounts, plugins and files in the text never decide
// it. Those of a batch system are a function, as its other tables: jacamar starts for
// every stage, and most stages use none of them.
type SubmitPatterns struct {
	// ID matches a line with the job's id, which is the first group.
	ID func() *regexp.Regexp
	// Error matches a line with the error, which is the first group.
	Error func() *regexp.Regexp
	// FirstError takes the first such line: text of the site follows it. By default the
	// last one counts.
	FirstError bool
	// Unreachable are the errors after which the request certainly was not accepted,
	// and may be accepted later.
	Unreachable func() *regexp.Regexp
	// Full are the errors of a limit on submitted jobs, which ends when other jobs end.
	Full func() *regexp.Regexp
	// Uncertain are the other errors after which the request may have been accepted.
	Uncertain func() *regexp.Regexp
}

// Sentences matches a text that consists of one of the sentences, which are regular
// expressions.
func Sentences(sentences ...string) func() *regexp.Regexp {
	return Pattern(`^(?:` + strings.Join(sentences, `|`) + `)$`)
}

// Classify parses the reply to a submission. Sites add banners to the output of submit
// programs, so the id is the only line that matches; two such lines are ambiguous.
func (p SubmitPatterns) Classify(r Reply) Submission {
	ids := p.ids(r.Stdout)
	if r.Err == nil && r.Code == 0 && len(ids) == 1 {
		return Submission{Outcome: Accepted, ID: ids[0]}
	}
	s := Submission{Outcome: Uncertain, Message: MessageOf(r)}
	if r.Err != nil || r.Code == 0 {
		return s
	}
	for _, output := range []string{r.Stderr, r.Stdout} { // a site's wrapper may have one for both
		var found bool
		if s.Error, found = p.errorText(output); found {
			s.Outcome = p.classifyError(s.Error)
			return s
		}
	}
	if len(ids) == 0 && !crashed(r) {
		s.Outcome = Refused
	}
	return s
}

// errorText returns the error that the program reports.
func (p SubmitPatterns) errorText(output string) (text string, found bool) {
	for line := range strings.SplitSeq(newlines.Replace(output), "\n") {
		m := p.Error().FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		if text, found = m[1], true; p.FirstError {
			break
		}
	}
	return text, found
}

func (p SubmitPatterns) classifyError(text string) Outcome {
	matches := func(pattern func() *regexp.Regexp) bool { return pattern != nil && pattern().MatchString(text) }
	switch {
	case matches(p.Unreachable):
		return Unreachable
	case matches(p.Full):
		return Full
	case matches(p.Uncertain):
		return Uncertain
	}
	return Refused
}

// traceback is the first line that Python prints for an unhandled exception.
var traceback = Pattern(`(?m)^Traceback \(most recent call last\):\r?$`)

// crashed reports whether the program was ended by an exception or, under a shell, by a
// signal (128 plus its number, bash(1)).
func crashed(r Reply) bool {
	switch r.Code - 128 {
	case 1, 2, 3, 4, 6, 7, 8, 9, 11, 13, 14, 15: // HUP to TERM, whose default action ends a process
		return true
	}
	return traceback().MatchString(r.Stderr)
}

func (p SubmitPatterns) ids(stdout string) (ids []ID) {
	for line := range strings.Lines(stdout) {
		if m := p.ID().FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			ids = append(ids, ID(m[1]))
		}
	}
	return ids
}

// Hinter has examples of the arguments by which a job requests more of a resource.
type Hinter interface {
	// Advice is an example for the class, "--time=2:00:00", or "".
	Advice(Class) string
}

// Constrained is a batch system that lacks functions of others.
type Constrained interface {
	// Limits describes what it lacks, for the job's log.
	Limits() string
}
