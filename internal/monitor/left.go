package monitor

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/proctree"
)

// leftError names the processes that could not be ended.
type leftError struct {
	all []proctree.Sight
	// account is why nothing could be done as the account, nil for nothing.
	account error
}

// Error implements error.
func (l leftError) Error() string {
	var names []string
	for _, s := range l.all[:min(len(l.all), shown)] {
		names = append(names, s.String())
	}
	if more := len(l.all) - shown; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	text := fmt.Sprintf("processes of the job could not be ended: %s", strings.Join(names, ", "))
	if l.account != nil {
		text += fmt.Sprintf(" (%v)", l.account)
	}
	return text
}

// shown is how many of them are named.
const shown = 8

func (l leftError) hint() string {
	for _, s := range l.all {
		if s.Waits() {
			return "it waits in the kernel, as for storage that does not answer; it may be back when you retry the job; if not, tell its administrators"
		}
	}
	return "tell its administrators"
}
