package scheduler

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// maxArguments is the greatest length of scheduler arguments, in bytes. A real request
// has a few hundred; the kernel's limit for one argument is 128 KiB.
const maxArguments = 32 << 10

// Split splits a text into words as a POSIX shell does (XCU 2.2 Quoting, 2.6.5 Field
// Splitting), but expands nothing: "$(x)" remains four characters, and a newline
// separates like a space.
func Split(text string) ([]string, error) {
	switch {
	case len(text) > maxArguments:
		return nil, fmt.Errorf("longer than %d bytes", maxArguments)
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("not valid UTF-8")
	case strings.ContainsRune(text, 0):
		return nil, fmt.Errorf("contains a NUL byte")
	}
	s := splitter{rest: text}
	for s.rest != "" {
		if err := s.step(); err != nil {
			return nil, err
		}
	}
	s.endWord()
	return s.words, nil
}

type splitter struct {
	rest   string
	words  []string
	word   strings.Builder
	inWord bool // a word has started; "" in quotes is a word too
}

func (s *splitter) step() error {
	c := s.rest[0]
	s.rest = s.rest[1:]
	switch c {
	case ' ', '\t', '\n', '\r':
		s.endWord()
		return nil
	case '\'':
		return s.single()
	case '"':
		return s.double()
	case '\\':
		return s.escape()
	}
	s.add(c)
	return nil
}

func (s *splitter) add(c byte) {
	s.inWord = true
	s.word.WriteByte(c)
}

func (s *splitter) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

func (s *splitter) single() error {
	text, rest, ok := strings.Cut(s.rest, "'")
	if !ok {
		return fmt.Errorf("unterminated single quote")
	}
	s.inWord = true
	s.word.WriteString(text)
	s.rest = rest
	return nil
}

// double reads to the closing quote. A backslash there escapes only special
// characters.
func (s *splitter) double() error {
	s.inWord = true
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return nil
		case c == '\\' && i+1 < len(s.rest) && strings.IndexByte("$`\"\\\n", s.rest[i+1]) >= 0:
			i++
			if s.rest[i] != '\n' {
				s.word.WriteByte(s.rest[i])
			}
		default:
			s.word.WriteByte(c)
		}
	}
	return fmt.Errorf("unterminated double quote")
}

func (s *splitter) escape() error {
	if s.rest == "" {
		return fmt.Errorf("ends with a backslash")
	}
	c := s.rest[0]
	s.rest = s.rest[1:]
	if c != '\n' {
		s.add(c)
	}
	return nil
}

// ParseMemory parses "1234K" into bytes; K, M, G, T and P are powers of 1024. It returns
// 0, for unknown, for any other text.
func ParseMemory(text string) int64 {
	unit := strings.TrimLeft(text, "0123456789.")
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, unit), 64)
	power := strings.Index("KMGTP", unit) + 1
	if unit == "" {
		power = 0
	} else if len(unit) > 1 || power == 0 {
		return 0
	}
	bytes := n * float64(int64(1)<<(10*power))
	if err != nil || !(bytes >= 0 && bytes < 1<<62) {
		return 0
	}
	return int64(bytes)
}

// ParseClock parses a duration of the form "[days-][hours:]minutes:seconds[.fraction]".
// It returns 0, for unknown, for any other text.
func ParseClock(text string) time.Duration {
	m := clockForm().FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	var total float64
	for i, perUnit := range []float64{24 * 3600, 3600, 60, 1} {
		n, _ := strconv.ParseFloat(m[i+1], 64)
		total += n * perUnit
	}
	return time.Duration(total * float64(time.Second))
}

var clockForm = Pattern(`^(?:([0-9]{1,5})-)?(?:([0-9]{1,6}):)?([0-9]{1,2}):([0-9]{1,2}(?:\.[0-9]{1,9})?)$`)

// ParseExit parses an exit status, 0 to 255. Any other text is an unknown one.
func ParseExit(text string) Exit {
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return Exit{}
	}
	return Exit{Known: true, Code: int(n)}
}

// ParseLines calls parse for each line that a program printed. The error is why there is
// no output.
func ParseLines(r Reply, program string, parse func(line string)) error {
	switch {
	case r.Err != nil:
		return r.Err
	case r.Code != 0:
		return fmt.Errorf("%s: %s", program, strings.TrimSpace(r.Stderr))
	}
	for line := range strings.Lines(r.Stdout) {
		parse(strings.TrimSuffix(line, "\n"))
	}
	return nil
}

// ParseUnix parses seconds since 1970. It returns the zero time for any other text, such
// as "N/A".
func ParseUnix(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// Pattern is a regular expression that is compiled at its first use: jacamar starts for
// every stage of a job, and most stages use none.
func Pattern(text string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })
}
