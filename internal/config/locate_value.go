package config

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

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

// value passes over one value and notes what it holds.
func (l *locator) value(path string) {
	switch l.peek() {
	case '"', '\'':
		l.quoted()
	case '[':
		l.array(path)
	case '{':
		l.inlineTable(path)
	default:
		rest := l.text[l.pos:]
		if end := strings.IndexAny(rest, ",]}#\n"); end >= 0 {
			rest = rest[:end]
		}
		l.advance(len(rest))
	}
}

// maxDepth is how deep an array's entries are told apart; no key of ours has
// arrays in arrays at all.
const maxDepth = 8

func (l *locator) array(path string) {
	l.accept("[")
	l.depth++
	defer func() { l.depth-- }()
	for i := 1; ; i++ {
		l.space(true)
		before := l.pos
		if l.accept("]") {
			return
		}
		entry := path
		if l.depth <= maxDepth {
			entry = fmt.Sprintf("%s[%d]", path, i)
		}
		l.note(entry)
		l.value(entry)
		l.space(true)
		l.accept(",")
		if l.pos == before {
			return // not an array after all
		}
	}
}

func (l *locator) inlineTable(path string) {
	l.accept("{")
	for {
		l.space(true)
		before := l.pos
		if l.accept("}") {
			return
		}
		l.pair(path)
		l.space(true)
		l.accept(",")
		if l.pos == before {
			return // not a table after all
		}
	}
}

// quoted passes over a string of any of the four kinds. Only the kinds with
// double quotes know escapes, and only those of three quotes may end in more
// quotes than it takes to end them.
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
