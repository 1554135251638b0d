package config

import (
	"fmt"
	"strings"
)

// locate finds the line of every key, table header and array entry of a
// document that the toml package has accepted; it keeps lines itself for the
// last of several keys of one name only. The keys are those of Fault.Key.
func locate(text string) map[string]int {
	l := &locator{text: strings.TrimPrefix(text, "\ufeff"), line: 1, lines: map[string]int{}, headers: map[string]int{}}
	table := ""
	for l.space(true); l.pos < len(l.text); l.space(true) {
		before := l.pos
		if l.peek() == '[' {
			table = l.header()
		} else {
			l.pair(table)
		}
		if l.pos == before {
			break // not a document after all
		}
	}
	return l.lines
}

type locator struct {
	text    string
	pos     int
	line    int
	lines   map[string]int
	headers map[string]int // [[headers]] seen so far
	depth   int            // arrays that pos is in
}

func (l *locator) peek() byte {
	if l.pos < len(l.text) {
		return l.text[l.pos]
	}
	return 0
}

func (l *locator) advance(n int) {
	n = min(n, len(l.text)-l.pos)
	l.line += strings.Count(l.text[l.pos:l.pos+n], "\n")
	l.pos += n
}

func (l *locator) accept(s string) bool {
	if !strings.HasPrefix(l.text[l.pos:], s) {
		return false
	}
	l.advance(len(s))
	return true
}

// space skips blanks, and where lines can end, line ends and comments.
func (l *locator) space(lines bool) {
	blanks := " \t"
	if lines {
		blanks = " \t\r\n"
	}
	for {
		rest := l.text[l.pos:]
		l.advance(len(rest) - len(strings.TrimLeft(rest, blanks)))
		if !lines || l.peek() != '#' {
			return
		}
		l.advance(len(l.text[l.pos:]) - len(strings.TrimLeft(l.text[l.pos:], "#")))
		if end := strings.IndexByte(l.text[l.pos:], '\n'); end >= 0 {
			l.advance(end)
		} else {
			l.pos = len(l.text)
		}
	}
}

func (l *locator) note(path string) {
	if _, ok := l.lines[path]; !ok {
		l.lines[path] = l.line
	}
}

// header reads [a.b] or [[a.b]] and returns the path of the keys after it.
func (l *locator) header() string {
	entry := l.accept("[[")
	if !entry {
		l.accept("[")
	}
	path := l.keys("")
	l.accept("]]")
	l.accept("]")
	if entry {
		l.note(path)
		l.headers[path]++
		path = fmt.Sprintf("%s[%d]", path, l.headers[path])
	}
	l.note(path)
	return path
}

// pair reads key = value below a path.
func (l *locator) pair(table string) {
	path := l.keys(table)
	l.note(path)
	l.space(false)
	if l.accept("=") {
		l.space(false)
		l.value(path)
	}
}

// keys reads a dotted key. A part that names an array of tables means the last
// of its entries.
func (l *locator) keys(path string) string {
	for {
		l.space(false)
		path = join(path, l.key())
		l.space(false)
		if !l.accept(".") {
			return path
		}
		if n := l.headers[path]; n > 0 {
			path = fmt.Sprintf("%s[%d]", path, n)
		}
	}
}
