package check

import (
	"encoding/json"
	"fmt"
	"io"
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
