// Package joblog is the voice in which Jacamar speaks in a job's log: few
// lines, each of them Jacamar's own by its prefix, none of them able to carry
// foreign control characters.
package joblog

import (
	"fmt"
	"io"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// Writer writes lines to a job's log. A write error is not reported: when the
// log is gone, the runner is, and other means end the job.
type Writer struct{ w io.Writer }

// NewWriter speaks on w.
func NewWriter(w io.Writer) Writer { return Writer{w} }

// GitLab's log view understands these sequences of ECMA-48; plain viewers show
// the words between them.
const (
	yellow = "\x1b[0;33m"
	red    = "\x1b[31;1m"
	reset  = "\x1b[0m"
)

// Note says how things are.
func (v Writer) Note(format string, args ...any) { v.line("", "", format, args) }

// Warn says what the reader may want to change.
func (v Writer) Warn(format string, args ...any) { v.line(yellow, "WARNING: ", format, args) }

// Fail says in one line why the stage failed and, where there is one, in a
// second what to do.
func (v Writer) Fail(line, hint string) {
	v.line(red, "ERROR: ", "%s", []any{line})
	if hint != "" {
		v.line("", "       ", "%s", []any{hint})
	}
}

func (v Writer) line(color, word, format string, args []any) {
	text := word + job.Printable(fmt.Sprintf(format, args...))
	if color != "" {
		text = color + text + reset
	}
	_, _ = io.WriteString(v.w, text+"\n")
}

// Section writes lines that GitLab's log view folds away behind a title; name
// is made of letters, digits and "_". Source:
// https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
func (v Writer) Section(name, title string, lines []string) {
	var b strings.Builder
	now := time.Now().Unix()
	fmt.Fprintf(&b, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", now, name, job.Printable(title))
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\n", job.Printable(l))
	}
	fmt.Fprintf(&b, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", now, name)
	_, _ = io.WriteString(v.w, b.String())
}
