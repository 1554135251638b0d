package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// Result is what a check found.
type Result string

// The results, by how bad they are. Fail stops jobs or makes them unsafe; Skip is not
// counted.
const (
	OK   Result = "ok"
	Warn Result = "warn"
	Fail Result = "fail"
	Skip Result = "skip"
)

// Line is one finding.
type Line struct {
	// ID is the stable name of the check, for monitors: it does not change with the
	// words.
	ID     string `json:"id"`
	Check  string `json:"check"`
	Result Result `json:"result"`
	Text   string `json:"text"`
	// Fix is what to do; empty for ok and skip.
	Fix string `json:"fix,omitempty"`
}

func ok(format string, args ...any) Line { return Line{Result: OK, Text: fmt.Sprintf(format, args...)} }

func warn(fix, format string, args ...any) Line {
	return Line{Result: Warn, Text: fmt.Sprintf(format, args...), Fix: fix}
}

func fail(fix, format string, args ...any) Line {
	return Line{Result: Fail, Text: fmt.Sprintf(format, args...), Fix: fix}
}

// Report is all findings about one installation.
type Report struct {
	Configuration string `json:"configuration"`
	// Name is the instance's, "" for none or where the configuration is not
	// readable.
	Name   string `json:"name,omitempty"`
	Result Result `json:"result"`
	Lines  []Line `json:"lines"`
}

// Status is the exit status that monitoring plugins use: 0 ok, 1 warning, 2
// critical. Source: https://www.monitoring-plugins.org/doc/guidelines.html
func (r Report) Status() int {
	switch r.Result {
	case OK:
		return 0
	case Warn:
		return 1
	}
	return 2
}

// worst returns the worst result of the lines; nothing found is a failure.
func worst(lines []Line) Result {
	result, seen := OK, false
	for _, l := range lines {
		switch {
		case l.Result == Fail:
			return Fail
		case l.Result == Skip:
			continue
		case l.Result == Warn:
			result = Warn
		}
		seen = true
	}
	if !seen {
		return Fail
	}
	return result
}

// WriteJSON prints the report for a program.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Style is how a report is printed. The zero value is plain text with one line for each
// finding, for files and other programs.
type Style struct {
	// Width of a terminal in columns, 0 for no line breaks.
	Width int
	// Colour marks results by colours, and Signs by characters beyond ASCII.
	Colour, Signs bool
}

// marks are how a result looks on a terminal: ECMA-48 colours, and a sign.
var marks = map[Result]struct{ colour, sign string }{
	OK: {"32", "✔ "}, Warn: {"33", "! "}, Fail: {"31", "✘ "}, Skip: {"2", "- "},
}

// mark returns the result as its line begins, and the number of its columns.
func (s Style) mark(r Result) (text string, columns int) {
	text = fmt.Sprintf("%-4s", r)
	if s.Signs {
		text = marks[r].sign + text
	}
	columns = utf8.RuneCountInString(text)
	if s.Colour {
		text = "\x1b[" + marks[r].colour + "m" + text + "\x1b[0m"
	}
	return text, columns
}

// leastText is the narrowest column for texts; a narrower terminal breaks lines itself.
const leastText = 24

// WriteText prints the report for a person.
func (r Report) WriteText(w io.Writer, style Style) error {
	var b strings.Builder
	width, count := 0, map[Result]int{}
	for _, l := range r.Lines {
		width = max(width, len(l.Check))
	}
	for _, l := range r.Lines {
		count[l.Result]++
		mark, columns := style.mark(l.Result)
		indent := columns + 2 + width + 2
		fmt.Fprintf(&b, "%s  %-*s  %s\n", mark, width, l.Check, style.broken(job.Printable(l.Text), indent))
		if l.Fix != "" {
			fmt.Fprintf(&b, "%*sfix: %s\n", indent, "", style.broken(job.Printable(l.Fix), indent+len("fix: ")))
		}
	}
	fmt.Fprintf(&b, "%s: %d fail, %d warn, %d ok\n", r.Result, count[Fail], count[Warn], count[OK])
	_, err := io.WriteString(w, b.String())
	return err
}

// broken breaks a text at blanks so that it fits behind an indent, and indents all lines
// but the first.
func (s Style) broken(text string, indent int) string {
	space := s.Width - indent
	if space < leastText { // also where there is no terminal
		return text
	}
	var lines []string
	line := ""
	for _, word := range strings.Split(text, " ") {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > space:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n"+strings.Repeat(" ", indent))
}

// StyleOf chooses the style for a terminal of that width, 0 for no terminal, by what its
// user's environment specifies: NO_COLOR (no-color.org), TERM, and the character set of the
// locale (locale(7)).
func StyleOf(width int, environ []string) Style {
	if width == 0 {
		return Style{}
	}
	getenv := func(name string) (value string) {
		for _, pair := range environ {
			if text, ok := strings.CutPrefix(pair, name+"="); ok {
				value = text
			}
		}
		return value
	}
	locale := strings.ToUpper(cmp.Or(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG")))
	return Style{
		Width:  width,
		Colour: getenv("NO_COLOR") == "" && getenv("TERM") != "" && getenv("TERM") != "dumb",
		Signs:  strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8"),
	}
}
