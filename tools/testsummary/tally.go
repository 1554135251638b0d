package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// tally counts the tests so far.
type tally struct {
	passed, failed, skipped int
	// reasons counts the skipped tests by reason.
	reasons map[string]int
	// names are those of the failed tests, and of those that ran when the time was over.
	names []string
	// cases are those tests that drive the built programs.
	cases cases

	current string // the test whose lines these are
	held    []line // the package's lines, for the case that it fails
}

type line struct{ test, text string }

var (
	// turn is a line that names the test of the lines after it, ended one with the result
	// of a test, logged one of t.Log and t.Skip. Source: `go doc test2json`.
	turn   = regexp.MustCompile(`^=== (?:RUN|CONT|NAME|PAUSE) +(\S+)`)
	ended  = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+)`)
	logged = regexp.MustCompile(`^ +\S+\.go:\d+: (.*)`)
	// verdict is go test's line about a package.
	verdict = regexp.MustCompile(`^(ok|FAIL|\?) *\t`)
	// running is a test that go test lists after a panic for want of time.
	running = regexp.MustCompile(`^\t\t(Test\S* \(.*\))$`)
)

// longestLine in bytes; one test's binary output may come without a newline.
const longestLine = 16 << 20

func (t *tally) read(in io.Reader, out io.Writer) error {
	t.reasons = map[string]int{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		if err := t.take(lines.Text(), out); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return t.release(out)
}

func (t *tally) take(text string, out io.Writer) error {
	switch {
	case verdict.MatchString(text):
		return t.packageEnd(text, out)
	case turn.MatchString(text):
		t.current = turn.FindStringSubmatch(text)[1]
		return nil
	case ended.MatchString(text):
		m := ended.FindStringSubmatch(text)
		t.testEnd(m[1], m[2], text)
		return nil
	}
	if m := running.FindStringSubmatch(text); m != nil {
		t.names = append(t.names, m[1])
	}
	t.held = append(t.held, line{t.current, text})
	return nil
}

// testEnd counts a test, and drops its output unless it failed.
func (t *tally) testEnd(how, name, text string) {
	switch how {
	case "FAIL":
		t.failed++
		t.names = append(t.names, name)
		t.held = append(t.held, line{name, text})
		return
	case "PASS":
		t.passed++
		t.cases.names = append(t.cases.names, name)
	case "SKIP":
		t.skipped++
		t.reasons[cmp.Or(t.lastLog(name), "no reason given")]++
	}
	t.held = slices.DeleteFunc(t.held, func(l line) bool { return l.test == name })
}

// lastLog is the last line that a test has logged.
func (t *tally) lastLog(name string) string {
	for _, l := range slices.Backward(t.held) {
		if m := logged.FindStringSubmatch(l.text); m != nil && l.test == name {
			return m[1]
		}
	}
	return ""
}

// packageEnd shows the lines of a package that failed, and none of any other.
func (t *tally) packageEnd(text string, out io.Writer) error {
	t.cases.end(text)
	if !strings.HasPrefix(text, "FAIL") {
		t.held = nil
	}
	t.held = append(t.held, line{text: text})
	t.current = ""
	return t.release(out)
}

func (t *tally) release(out io.Writer) error {
	for _, l := range t.held {
		if _, err := fmt.Fprintln(out, l.text); err != nil {
			return err
		}
	}
	t.held = nil
	return nil
}

// summarize prints the counts, the most frequent reason first.
func (t *tally) summarize(out io.Writer) {
	fmt.Fprintf(out, "tests: %d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	for _, name := range t.names {
		fmt.Fprintf(out, "  failed        %s\n", name)
	}
	t.cases.summarize(out)
	byCount := func(a, b string) int { return cmp.Or(t.reasons[b]-t.reasons[a], strings.Compare(a, b)) }
	for _, reason := range slices.SortedFunc(maps.Keys(t.reasons), byCount) {
		fmt.Fprintf(out, "  skipped %4d  %s\n", t.reasons[reason], reason)
	}
}
