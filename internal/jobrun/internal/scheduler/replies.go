package scheduler

import (
	"regexp"
	"strings"
)

// Replies are the forms of a submit program's answers.
type Replies struct {
	// ID is the form of a line with the job's id, which is its first group.
	ID func() *regexp.Regexp
	// Unreachable is said when the request certainly was not sent.
	Unreachable func() *regexp.Regexp
	// Uncertain is said when it may have been taken all the same.
	Uncertain func() *regexp.Regexp
}

// Judge reads the answer to a submission. Sites put banners around submit
// programs, so the id is the one line that has its form; two such lines are no
// answer.
func (f Replies) Judge(r Reply) Submission {
	said := strings.TrimSpace(r.Stderr + "\n" + r.Stdout)
	ids := f.ids(r.Stdout)
	switch {
	case r.Err == nil && r.Code == 0 && len(ids) == 1:
		return Submission{Verdict: Accepted, ID: ids[0]}
	case r.Err != nil || r.Code == 0 || len(ids) > 0:
		return Submission{Text: said}
	case f.Unreachable().MatchString(said):
		return Submission{Verdict: Unreachable, Text: said}
	case f.Uncertain().MatchString(said):
		return Submission{Text: said}
	}
	return Submission{Verdict: Refused, Text: said}
}

func (f Replies) ids(stdout string) (ids []ID) {
	for line := range strings.Lines(stdout) {
		if m := f.ID().FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			ids = append(ids, ID(m[1]))
		}
	}
	return ids
}

// Adviser knows the arguments by which a job asks for more of what it ran out of.
type Adviser interface {
	// Advice is an example for the class, "--time=2:00:00", or "".
	Advice(Class) string
}

// Limited is a batch system that cannot do all that others can.
type Limited interface {
	// Limits says what it cannot do, in plain words for the job's author.
	Limits() string
}
