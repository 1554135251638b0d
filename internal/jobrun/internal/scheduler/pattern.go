package scheduler

import (
	"regexp"
	"sync"
)

// Pattern is a regular expression that is compiled when it is first asked for.
// jacamar starts for every stage of a job, and most stages ask for none.
func Pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
