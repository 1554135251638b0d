package scheduler

import (
	"regexp"
	"strings"
)

// SubmitPatterns are the forms of a submit program's answers. What became of a submission
// that failed is decided by sentences of the batch system itself, each of them
// whole, on the line that carries the error: names of partitions, accounts, plugins
// and files in the text decide nothing.
type SubmitPatterns struct {
	// ID is the form of a line with the job's id, which is its first group.
	ID func() *regexp.Regexp
	// Error is the form of a line that carries the error, which is its first group.
	Error func() *regexp.Regexp
	// First takes the first such line: what follows it is text of the site. By
	// default the last one counts.
	First bool
	// Unreachable are the errors after which the request certainly was not taken,
	// and may be taken at another try.
	Unreachable func() *regexp.Regexp
	// Full are the errors of a limit on submitted jobs, which ends when others do.
	Full func() *regexp.Regexp
	// Uncertain are the other errors after which the request may have been taken.
	Uncertain func() *regexp.Regexp
}

// Sentences is the form of a text that is one of the sentences, regular
// expressions, from its beginning to its end.
func Sentences(sentences ...string) func() *regexp.Regexp {
	return Pattern(`^(?:` + strings.Join(sentences, `|`) + `)$`)
}

// Classify reads the answer to a submission. Sites put banners around submit
// programs, so the id is the one line that has its form; two such lines are no
// answer.
func (f SubmitPatterns) Classify(r Reply) Submission {
	ids := f.ids(r.Stdout)
	if r.Err == nil && r.Code == 0 && len(ids) == 1 {
		return Submission{Verdict: Accepted, ID: ids[0]}
	}
	s := Submission{Verdict: Uncertain, Message: MessageOf(r)}
	if r.Err != nil || r.Code == 0 {
		return s
	}
	for _, output := range []string{r.Stderr, r.Stdout} { // a site's wrapper may have one for both
		var found bool
		if s.Error, found = f.failure(output); found {
			s.Verdict = f.verdict(s.Error)
			return s
		}
	}
	if len(ids) == 0 && !crashed(r) {
		s.Verdict = Refused
	}
	return s
}

// failure is the error that the program reports.
func (f SubmitPatterns) failure(output string) (text string, found bool) {
	for line := range strings.SplitSeq(newlines.Replace(output), "\n") {
		m := f.Error().FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		if text, found = m[1], true; f.First {
			break
		}
	}
	return text, found
}

func (f SubmitPatterns) verdict(text string) Verdict {
	says := func(form func() *regexp.Regexp) bool { return form != nil && form().MatchString(text) }
	switch {
	case says(f.Unreachable):
		return Unreachable
	case says(f.Full):
		return Full
	case says(f.Uncertain):
		return Uncertain
	}
	return Refused
}

// traceback begins what Python prints of an exception that nobody handled.
var traceback = Pattern(`(?m)^Traceback \(most recent call last\):\r?$`)

// crashed reports whether the program ended in the middle of its work: by an
// exception or, below a shell, by a signal (128 and its number, bash(1)).
func crashed(r Reply) bool {
	switch r.Code - 128 {
	case 1, 2, 3, 4, 6, 7, 8, 9, 11, 13, 14, 15: // HUP to TERM, those that end a process
		return true
	}
	return traceback().MatchString(r.Stderr)
}

func (f SubmitPatterns) ids(stdout string) (ids []ID) {
	for line := range strings.Lines(stdout) {
		if m := f.ID().FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			ids = append(ids, ID(m[1]))
		}
	}
	return ids
}

// Hinter knows the arguments by which a job asks for more of what it ran out of.
type Hinter interface {
	// Advice is an example for the class, "--time=2:00:00", or "".
	Advice(Class) string
}

// Constrained is a batch system that cannot do all that others can.
type Constrained interface {
	// Limits says what it cannot do, in plain words for the job's author.
	Limits() string
}
