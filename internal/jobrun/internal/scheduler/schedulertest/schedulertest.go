// Package schedulertest reads recorded calls of batch systems' programs, and formats
// states in one line, for the tests of the packages that parse them.
package schedulertest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// ReadCall reads one call: "$ command", "exit N" and the two outputs, each after a line with
// its name.
func ReadCall(path string) (argv []string, r scheduler.Reply, err error) {
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
	pendingKinds = []string{"queued", "held", "unsatisfiable", "launch-failed"}
	classes      = []string{"exited", "time", "memory", "deadline", "cancelled", "system-failure"}
)

// Describe formats a state: "unknown", "missing", "pending held", "running on n1", "done
// exited 7 on n1".
func Describe(s scheduler.State) string {
	var words []string
	switch s.Phase {
	case scheduler.Unknown:
		return map[bool]string{true: "missing", false: "unknown"}[s.Missing]
	case scheduler.Pending:
		words = []string{"pending", pendingKinds[s.Reason.Kind]}
	case scheduler.Running:
		words = []string{map[bool]string{true: "suspended", false: "running"}[s.Suspended]}
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
	if s.Phase == scheduler.Done && s.Reason.Kind == scheduler.Unsatisfiable {
		words = append(words, "unsatisfiable")
	}
	if s.Nodes != "" {
		words = append(words, "on "+s.Nodes)
	}
	return strings.Join(words, " ")
}

// Validate returns an error for a state that no parser may return: one without a name,
// with an impossible exit status, or of a job that is both known and missing.
func Validate(s scheduler.State) error {
	switch {
	case s.Phase != scheduler.Unknown && (s.Name == "" || s.Description == ""):
		return fmt.Errorf("%+v has no name or no description", s)
	case s.Phase != scheduler.Unknown && s.Missing:
		return fmt.Errorf("%+v is both known and missing", s)
	case s.Phase == scheduler.Pending && s.Reason.Description == "":
		return fmt.Errorf("%+v is pending for no reason", s)
	case s.Exit.Known && (s.Exit.Code < 0 || s.Exit.Code > 255 || s.Exit.Signal < 0 || s.Exit.Signal > 127):
		return fmt.Errorf("%+v has an impossible exit status", s)
	}
	return nil
}
