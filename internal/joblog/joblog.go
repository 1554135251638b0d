// Package joblog writes Jacamar's messages to the job log: few lines, marked by a
// prefix, without control characters from untrusted text.
package joblog

import (
	"fmt"
	"io"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// Writer writes lines to a job's log. Write errors are ignored: without the log the
// runner has gone too, and that ends the job.
type Writer struct{ out io.Writer }

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) Writer { return Writer{w} }

// GitLab's log view interprets these sequences of ECMA-48; plain viewers show the
// text between them.
const (
	yellow = "\x1b[0;33m"
	red    = "\x1b[31;1m"
	reset  = "\x1b[0m"
)

// Note writes a line of information.
func (w Writer) Note(format string, args ...any) { w.line("", "", format, args) }

// Warn writes what the reader may want to change.
func (w Writer) Warn(format string, args ...any) { w.line(yellow, "WARNING: ", format, args) }

// Fail writes why the stage failed and, unless hint is "", a second line that
// suggests what to do.
func (w Writer) Fail(line, hint string) {
	w.line(red, "ERROR: ", "%s", []any{line})
	if hint != "" {
		w.line("", "       ", "%s", []any{hint})
	}
}

func (w Writer) line(color, prefix, format string, args []any) {
	text := prefix + job.Printable(fmt.Sprintf(format, args...))
	if color != "" {
		text = color + text + reset
	}
	_, _ = io.WriteString(w.out, text+"\n")
}

// Section writes lines that GitLab's log view collapses under a title; name
// consists of letters, digits and "_". Source:
// https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
func (w Writer) Section(name, title string, lines []string) {
	var b strings.Builder
	now := time.Now().Unix()
	fmt.Fprintf(&b, "\x1b[0Ksection_start:%d:%s[collapsed=true]\r\x1b[0K%s\n", now, name, job.Printable(title))
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\n", job.Printable(l))
	}
	fmt.Fprintf(&b, "\x1b[0Ksection_end:%d:%s\r\x1b[0K\n", now, name)
	_, _ = io.WriteString(w.out, b.String())
}
