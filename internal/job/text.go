package job

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// clipLength is how many bytes of an untrusted value an error message may repeat.
const clipLength = 64

// Clip shortens an untrusted value for an error message. Callers print it with %q,
// which escapes control characters.
func Clip(s string) string { return Shorten(s, clipLength) }

// Listed returns the items with commas between them.
func Listed[T any](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = fmt.Sprint(item)
	}
	return strings.Join(texts, ", ")
}

// Either is Listed for a sentence: "a, b or c".
func Either[T any](items []T) string {
	if len(items) < 2 {
		return Listed(items)
	}
	last := len(items) - 1
	return Listed(items[:last]) + " or " + fmt.Sprint(items[last])
}

// Shorten keeps at most limit bytes of s, as Cut does, and marks an omission with
// an ellipsis.
func Shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return Cut(s, limit) + "…"
}

// Cut keeps at most limit bytes of s and never splits a UTF-8 character. Bytes that
// are not UTF-8 are cut at the limit.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for n := limit; n >= 0 && n > limit-utf8.UTFMax; n-- {
		if utf8.RuneStart(s[n]) {
			return s[:n]
		}
	}
	return s[:limit]
}

// ParseBytes reads a number with an optional K, M, G or T behind it, for powers of 1024.
func ParseBytes(s string) (n int64, ok bool) {
	shift := 0
	for i, unit := range []string{"K", "M", "G", "T"} {
		if digits, found := strings.CutSuffix(s, unit); found {
			s, shift = digits, 10*(i+1)
			break
		}
	}
	number, err := strconv.ParseUint(s, 10, 63)
	if err != nil || number > math.MaxInt64>>shift {
		return 0, false
	}
	return int64(number) << shift, true
}

// Printable replaces every control character and every invalid byte by a
// question mark, so that untrusted text is safe in a log line: it can neither
// start a new line, move a terminal's cursor, nor change the order in which what
// follows is displayed (CVE-2021-42574).
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) || r == utf8.RuneError || r == 0x2028 || r == 0x2029 || reorders(r) {
			return '?'
		}
		return r
	}, s)
}

// reorders reports whether a character embeds, overrides or isolates the direction of the
// text that follows (Unicode Standard Annex 9, section 2).
func reorders(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// ShellQuote writes each text as one word of a POSIX shell, with a space between them.
func ShellQuote(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// ShellWord is ShellQuote for a person to read: it quotes a word only where necessary.
func ShellWord(word string) string {
	if onlyAlnum(word, "/._+-=:,@%") {
		return word
	}
	return ShellQuote(word)
}

// FormatBytes formats a size with a binary unit, as in "1.5 GiB".
func FormatBytes(n int64) string {
	size, unit := float64(n), 0
	for size >= 1024 && unit < 4 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, []string{"", "KiB", "MiB", "GiB", "TiB"}[unit])
}

// onlyAlnum reports whether s is one or more bytes of the ASCII letters, digits and
// extra. A regular expression would do, but compiling it costs each start of a
// program a third of a millisecond.
func onlyAlnum(s, extra string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte(extra, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool { return isLetter(c) || isDigit(c) }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// Secret is text that must never be printed. Formatting it with fmt or encoding it
// as JSON gives a fixed text; only Reveal returns the value. The value is behind a
// pointer because fmt does not call the methods of a struct's unexported fields.
type Secret struct{ s *string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{&s} }

const secretText = "[secret]"

// Reveal returns the value.
func (s Secret) Reveal() string {
	if s.s == nil {
		return ""
	}
	return *s.s
}

// Format implements fmt.Formatter for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secretText) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(secretText), nil }
