package config

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// locate finds the line of every key, table header and array entry of a document that
// the toml package has accepted; that package has lines only for the last of several
// keys of one name. The keys are those of Fault.Key.
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

// key reads one part of a dotted key.
func (l *locator) key() string {
	start := l.pos
	switch l.peek() {
	case '"', '\'':
		l.quoted()
		var k struct{ K string }
		if _, err := toml.Decode("k = "+l.text[start:l.pos], &k); err != nil {
			return l.text[start:l.pos]
		}
		return k.K
	}
	rest := l.text[l.pos:]
	if end := strings.IndexAny(rest, " \t\r\n.=]#"); end >= 0 {
		rest = rest[:end]
	}
	l.advance(len(rest))
	return rest
}

// value skips one value and notes what it contains.
func (l *locator) value(path string) {
	switch l.peek() {
	case '"', '\'':
		l.quoted()
	case '[':
		l.array(path)
	case '{':
		l.list("{", "}", func(int) { l.pair(path) })
	default:
		rest := l.text[l.pos:]
		if end := strings.IndexAny(rest, ",]}#\n"); end >= 0 {
			rest = rest[:end]
		}
		l.advance(len(rest))
	}
}

// maxDepth is the depth to which entries of arrays have keys of their own; no key of the
// schema has arrays in arrays.
const maxDepth = 8

func (l *locator) array(path string) {
	l.depth++
	defer func() { l.depth-- }()
	l.list("[", "]", func(number int) {
		entry := path
		if l.depth <= maxDepth {
			entry = fmt.Sprintf("%s[%d]", path, number)
		}
		l.note(entry)
		l.value(entry)
	})
}

// list reads what is between two brackets, separated by commas.
func (l *locator) list(begin, end string, read func(number int)) {
	l.accept(begin)
	for number := 1; ; number++ {
		l.space(true)
		before := l.pos
		if l.accept(end) {
			return
		}
		read(number)
		l.space(true)
		l.accept(",")
		if l.pos == before {
			return // not a list after all
		}
	}
}

// quoted skips a string of any of the four kinds. Only the kinds with double quotes have
// escapes, and only those of three quotes may end in more quotes than end them.
func (l *locator) quoted() {
	quote := l.text[l.pos : l.pos+1]
	end := quote
	if strings.HasPrefix(l.text[l.pos:], strings.Repeat(quote, 3)) {
		end = strings.Repeat(quote, 3)
	}
	l.advance(len(end))
	for l.pos < len(l.text) && !l.accept(end) {
		if quote == `"` && l.peek() == '\\' {
			l.advance(1)
		}
		l.advance(1)
	}
	for len(end) == 3 && l.accept(quote) {
	}
}
