// Package joblog writes Jacamar's messages to the job log: few lines, distinguished from
// the output of the job by a prefix and a colour, without control characters from
// untrusted text.
package joblog

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// Writer writes lines to a job's log. Write errors are ignored: without the log the
// runner has gone too, and that ends the job.
type Writer struct{ out io.Writer }

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) Writer { return Writer{w} }

// prefix begins every line of Jacamar outside of sections, apart from lines to copy.
const prefix = "jacamar: "

// GitLab's log view interprets these sequences of ECMA-48; plain viewers show the
// text between them.
const (
	cyan   = "\x1b[0;36m"
	yellow = "\x1b[0;33m"
	red    = "\x1b[31;1m"
	reset  = "\x1b[0m"
)

// Note writes a line of information.
func (w Writer) Note(format string, args ...any) { w.line(cyan, "", format, args) }

// Warn writes what the reader may want to change.
func (w Writer) Warn(format string, args ...any) { w.line(yellow, "WARNING: ", format, args) }

// Fail writes why the stage failed and, unless hint is "", a second line that suggests
// what to do. Lines to copy follow it without the prefix.
func (w Writer) Fail(line, hint string, toCopy ...string) {
	w.line(red, "ERROR: ", "%s", []any{line})
	if hint != "" {
		w.line(cyan, "       ", "%s", []any{hint})
	}
	for _, l := range toCopy {
		_, _ = io.WriteString(w.out, "    "+job.Printable(l)+"\n")
	}
}

func (w Writer) line(color, mark, format string, args []any) {
	_, _ = io.WriteString(w.out, color+prefix+mark+job.Printable(fmt.Sprintf(format, args...))+reset+"\n")
}

// Section writes lines that GitLab's log view collapses under a title; name
// consists of letters, digits and "_".
func (w Writer) Section(name, title string, lines []string) {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s\n", job.Printable(l))
	}
	w.section(name, title, b.String())
}

// Fold is Section for output of the job's own programs, which is written unchanged.
func (w Writer) Fold(name, title string, output []byte) {
	text := string(output)
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if strings.Contains(text, "\x1b") {
		text += reset // the output may have left a colour
	}
	w.section(name, title, text)
}

func (w Writer) section(name, title, text string) {
	begin, end := Frame(strconv.FormatInt(time.Now().Unix(), 10), name, title)
	_, _ = io.WriteString(w.out, begin+text+end)
}

// Frame returns what begins and what ends a section; at is the time in seconds since the
// epoch. Source: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
func Frame(at, name, title string) (begin, end string) {
	begin = "\x1b[0Ksection_start:" + at + ":" + name + "[collapsed=true]\r\x1b[0K" + cyan + prefix + job.Printable(title) + reset + "\n"
	return begin, "\x1b[0Ksection_end:" + at + ":" + name + "\r\x1b[0K\n"
}
