// Package schedulertest reads recorded calls of batch systems' programs, and writes
// states in one line, for the tests of the packages that parse them.
package schedulertest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Read reads one call: "$ command", "exit N" and the two outputs, each below a
// line with its name.
func Read(path string) (argv []string, r scheduler.Reply, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, r, err
	}
	head, rest, _ := strings.Cut(string(text), "-- stdout --\n")
	stdout, stderr, ok := strings.Cut(rest, "-- stderr --\n")
	command, exit, _ := strings.Cut(head, "\n")
	code, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(exit, "exit ")))
	if err != nil || !ok {
		return nil, r, fmt.Errorf("%s is not a transcript", path)
	}
	return strings.Fields(strings.TrimPrefix(command, "$ ")), scheduler.Reply{Code: code, Stdout: stdout, Stderr: stderr}, nil
}

var (
	hopes   = []string{"waits", "held", "never", "broken"}
	classes = []string{"ended", "time", "memory", "deadline", "cancelled", "lost"}
)

// Say writes what a state means: "unknown", "missing", "pending held", "running
// on n1", "done ended 7 on n1".
func Say(s scheduler.State) string {
	var words []string
	switch s.Phase {
	case scheduler.Unknown:
		return map[bool]string{true: "missing", false: "unknown"}[s.Missing]
	case scheduler.Pending:
		words = []string{"pending", hopes[s.Reason.Hope]}
	case scheduler.Running:
		words = []string{"running"}
	case scheduler.Completing:
		words = []string{"completing"}
	case scheduler.Done:
		words = []string{"done", classes[s.Class]}
	}
	if s.Exit.Known {
		words = append(words, strconv.Itoa(s.Exit.Code))
	}
	if s.Exit.Signal != 0 {
		words = append(words, "signal "+strconv.Itoa(s.Exit.Signal))
	}
	if s.Phase == scheduler.Done && s.Reason.Hope == scheduler.Unsatisfiable {
		words = append(words, "never")
	}
	if s.Nodes != "" {
		words = append(words, "on "+s.Nodes)
	}
	return strings.Join(words, " ")
}

// Faults are what no parser may say, whatever it was given: a state without a
// name, an exit status of a job that is not done, a missing job that is known.
func Faults(s scheduler.State) error {
	switch {
	case s.Phase != scheduler.Unknown && (s.Name == "" || s.Description == ""):
		return fmt.Errorf("%+v has no name or no words", s)
	case s.Phase != scheduler.Unknown && s.Missing:
		return fmt.Errorf("%+v is both known and missing", s)
	case s.Phase == scheduler.Pending && s.Reason.Description == "":
		return fmt.Errorf("%+v is pending for no reason", s)
	case s.Exit.Known && (s.Exit.Code < 0 || s.Exit.Code > 255 || s.Exit.Signal < 0 || s.Exit.Signal > 127):
		return fmt.Errorf("%+v has an impossible exit status", s)
	}
	return nil
}
