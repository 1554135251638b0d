package auditlog

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/sirupsen/logrus"
)

// formatter writes an entry as one line of JSON and wraps it as the place wants.
type formatter struct{ frame frame }

// frame wraps one line, which has no line end, for its way.
type frame func(level logrus.Level, at time.Time, line []byte) []byte

// Format implements logrus.Formatter.
func (f formatter) Format(e *logrus.Entry) ([]byte, error) {
	plain := logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano, DisableHTMLEscape: true}
	text, err := plain.Format(e)
	if err != nil {
		return nil, err
	}
	return f.frame(e.Level, e.Time, escape(text)), nil
}

// escape writes as \uXXXX what encoding/json passes on: DEL, the control
// characters from 0x80 on, and the marks that change the direction of text or
// have no width. In JSON text they can only stand inside a string, so the text
// means the same. The line end is taken off.
func escape(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == '\n':
		case risky(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}

// longestEscape is what one character takes at most, written as \uXXXX.
const longestEscape = 6

// escaped is how many bytes a character takes in a record.
func escaped(r rune) int {
	switch {
	case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == '\f':
		return 2
	case r < ' ' || r == utf8.RuneError || risky(r):
		return longestEscape
	}
	return utf8.RuneLen(r)
}

// risky characters are those of Unicode's Bidi_Control, the zero-width ones, and
// the two of its separators that some viewers take for a line end.
func risky(r rune) bool {
	switch {
	case r >= 0x7f && r < 0xa0,
		r >= 0x200b && r <= 0x200f,
		r >= 0x2028 && r <= 0x202e,
		r >= 0x2060 && r <= 0x2069,
		r == 0x061c, r == 0xfeff:
		return true
	}
	return false
}
