// Package logview renders a job's log as GitLab's log view does: with colours, line
// numbers and sections that fold. Source: https://docs.gitlab.com/ci/jobs/job_logs/ and
// lib/gitlab/ci/ansi2json of GitLab.
package logview

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
)

// Style is what the rendered logs need, as an HTML element. The background is dark in
// both colour schemes of the documentation, as it is in GitLab.
const Style = `<style>
.joblog { background: #1f1e24; color: #ececef; font: 12px/1.5 ui-monospace, monospace; padding: 8px 0; overflow-x: auto; counter-reset: line; }
.joblog .line, .joblog summary { display: block; white-space: pre-wrap; overflow-wrap: anywhere; padding: 0 12px 0 52px; min-height: 18px; position: relative; }
.joblog .line::before, .joblog summary::before { counter-increment: line; content: counter(line); position: absolute; left: 0; width: 32px; text-align: right; color: #a4a3a8; }
.joblog summary { cursor: pointer; background: #333238; list-style: none; margin: 0; border: 0; }
.joblog summary::after { content: "›"; position: absolute; left: 38px; color: #ececef; }
.joblog details { background: none; border: 0; box-shadow: none; margin: 0; padding: 0; font-size: inherit; }
.joblog details[open] > summary::after { content: "⌄"; }
.joblog .red { color: #ff7b6b; } .joblog .yellow { color: #e9be74; } .joblog .green { color: #52d68a; } .joblog .cyan { color: #4fd1d9; }
.joblog .bold { font-weight: bold; }
</style>`

// marker is the beginning or the end of a section, with what GitLab erases around it.
var marker = regexp.MustCompile("(?:\x1b\\[0?K)?section_(start|end):[0-9]+:([A-Za-z0-9_.-]+)(\\[collapsed=true\\])?\r(?:\x1b\\[0?K)?")

// HTML renders a log.
func HTML(log string) string {
	v := view{}
	v.out.WriteString("<div class=\"joblog\">\n")
	for line := range strings.Lines(strings.TrimRight(log, "\n") + "\n") {
		v.line(strings.TrimSuffix(line, "\n"))
	}
	for range v.open {
		v.out.WriteString("</details>\n")
	}
	v.out.WriteString("</div>\n")
	return v.out.String()
}

type view struct {
	out  strings.Builder
	open int // sections that have not ended
	// color and bold are those of the text that follows.
	color string
	bold  bool
}

// line renders a line of the log, which markers divide into several of the view.
func (v *view) line(text string) {
	for {
		m := marker.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		if before := text[:m[0]]; before != "" {
			v.text("div", before)
		}
		kind, collapsed := text[m[2]:m[3]], m[6] >= 0
		text = text[m[1]:]
		if kind == "start" {
			v.start(collapsed, text)
			return
		}
		if v.open > 0 {
			v.open--
			v.out.WriteString("</details>\n")
		}
		if text == "" {
			return
		}
	}
	v.text("div", text)
}

func (v *view) start(collapsed bool, title string) {
	v.open++
	if collapsed {
		v.out.WriteString("<details>")
	} else {
		v.out.WriteString("<details open>")
	}
	v.text("summary", title)
}

// colors are the supported foreground colours of SGR (ECMA-48).
var colors = map[string]string{"31": "red", "32": "green", "33": "yellow", "36": "cyan"}

var escape = regexp.MustCompile("\x1b\\[([0-9;]*)([A-Za-z])")

// text renders one line of the view.
func (v *view) text(element, text string) {
	class := ""
	if element == "div" {
		class = ` class="line"`
	}
	fmt.Fprintf(&v.out, "<%s%s>", element, class)
	for {
		m := escape.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		v.span(text[:m[0]])
		if text[m[4]:m[5]] == "m" {
			v.sgr(text[m[2]:m[3]])
		}
		text = text[m[1]:]
	}
	v.span(text)
	fmt.Fprintf(&v.out, "</%s>\n", element)
}

func (v *view) sgr(parameters string) {
	for p := range strings.SplitSeq(parameters, ";") {
		switch {
		case p == "" || p == "0":
			v.color, v.bold = "", false
		case p == "1":
			v.bold = true
		case colors[p] != "":
			v.color = colors[p]
		}
	}
}

// span writes text with its attributes. Asterisks and underscores are written as
// references: the page is Markdown.
func (v *view) span(text string) {
	text = strings.ReplaceAll(text, "\r", "")
	if text == "" {
		return
	}
	classes := slices.DeleteFunc([]string{v.color, map[bool]string{true: "bold"}[v.bold]}, func(c string) bool { return c == "" })
	escaped := strings.NewReplacer("*", "&#42;", "_", "&#95;", "`", "&#96;").Replace(html.EscapeString(text))
	if len(classes) == 0 {
		v.out.WriteString(escaped)
		return
	}
	fmt.Fprintf(&v.out, `<span class="%s">%s</span>`, strings.Join(classes, " "), escaped)
}

// runnerLines are lines of GitLab Runner, which a runner without a terminal's colours
// leaves plain, and the colours that GitLab Runner gives them.
var runnerLines = []struct {
	form  *regexp.Regexp
	color string
}{
	{regexp.MustCompile(`^(?:Preparing |Getting source |Executing |Cleaning up )`), "\x1b[36;1m"},
	{regexp.MustCompile(`^\$ `), "\x1b[32;1m"},
	{regexp.MustCompile(`^Job succeeded`), "\x1b[32;1m"},
	{regexp.MustCompile(`^WARNING: `), "\x1b[0;33m"},
	{regexp.MustCompile(`^ERROR: `), "\x1b[31;1m"},
}

// WithRunnerColors gives the runner's own plain lines the colours that GitLab Runner
// writes.
func WithRunnerColors(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		text, end := strings.TrimSuffix(line, "\n"), line[len(strings.TrimSuffix(line, "\n")):]
		for _, r := range runnerLines {
			if r.form.MatchString(text) {
				text = r.color + text + "\x1b[0;m"
				break
			}
		}
		b.WriteString(text + end)
	}
	return b.String()
}
