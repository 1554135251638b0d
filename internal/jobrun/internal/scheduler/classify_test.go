package scheduler

import (
	"errors"
	"testing"
)

// TestClassify: a job is accepted only if the program succeeded and printed one id, and
// refused only if it is certain that no job exists.
func TestClassify(t *testing.T) {
	patterns := SubmitPatterns{ID: Pattern(`^job (\d+)$`), Error: Pattern(`^error: (.*)$`), Full: Pattern(`^full$`), Uncertain: Pattern(`^timeout$`)}
	first := patterns
	first.FirstError, first.Unreachable = true, Pattern(`^no route$`)
	for name, tt := range map[string]struct {
		patterns SubmitPatterns
		reply    Reply
		want     Outcome
		text     string // the id or the error
	}{
		"accepted":                     {patterns, Reply{Stdout: "job 12\n"}, Accepted, "12"},
		"accepted, with a banner":      {patterns, Reply{Stdout: "Welcome!\njob 12\nbye\n"}, Accepted, "12"},
		"two ids":                      {patterns, Reply{Stdout: "job 12\njob 13\n"}, Uncertain, ""},
		"no id":                        {patterns, Reply{Stdout: "error: full\n"}, Uncertain, ""},
		"an id, and it was killed":     {patterns, Reply{Stdout: "job 12\n", Err: errors.New("killed")}, Uncertain, ""},
		"an error, and it was killed":  {patterns, Reply{Stderr: "error: full\n", Code: 1, Err: errors.New("killed")}, Uncertain, ""},
		"an id, and it failed":         {patterns, Reply{Stdout: "job 12\n", Code: 1}, Uncertain, ""},
		"nothing":                      {patterns, Reply{Code: 1}, Refused, ""},
		"ended by a signal":            {patterns, Reply{Code: 137}, Uncertain, ""},
		"a code that is no signal's":   {patterns, Reply{Code: 255}, Refused, ""},
		"an exception":                 {patterns, Reply{Code: 1, Stderr: "Traceback (most recent call last):\n"}, Uncertain, ""},
		"full":                         {patterns, Reply{Code: 1, Stderr: "error: full\n"}, Full, "full"},
		"full, by a wrapper":           {patterns, Reply{Code: 1, Stdout: "error: full\n"}, Full, "full"},
		"uncertain":                    {patterns, Reply{Code: 1, Stderr: "error: timeout\n"}, Uncertain, "timeout"},
		"another error":                {patterns, Reply{Code: 1, Stderr: "error: no queue\n"}, Refused, "no queue"},
		"another error, and an id":     {patterns, Reply{Code: 1, Stderr: "error: no queue\n", Stdout: "job 12\n"}, Refused, "no queue"},
		"no pattern of the controller": {patterns, Reply{Code: 1, Stderr: "error: no route\n"}, Refused, "no route"},
		"unreachable":                  {first, Reply{Code: 1, Stderr: "error: no route\n"}, Unreachable, "no route"},
		"the last error":               {patterns, Reply{Code: 1, Stderr: "error: a\nerror: full\n"}, Full, "full"},
		"the first error":              {first, Reply{Code: 1, Stderr: "error: a\nerror: full\n"}, Refused, "a"},
	} {
		got := tt.patterns.Classify(tt.reply)
		if got.Outcome != tt.want || string(got.ID)+got.Error != tt.text {
			t.Errorf("%s: outcome %d, id %q, error %q; want %d, %q", name, got.Outcome, got.ID, got.Error, tt.want, tt.text)
		}
	}
}
