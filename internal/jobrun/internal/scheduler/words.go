package scheduler

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxArguments is the longest text of scheduler arguments in bytes. A real
// request has a few hundred; the kernel's limit for one argument is 128 KiB.
const MaxArguments = 32 << 10

// Split cuts a text into words as a POSIX shell would (XCU 2.2 Quoting, 2.6.5
// Field Splitting), without expanding anything: "$(x)" stays those four
// characters, and a newline separates like a space.
func Split(text string) ([]string, error) {
	switch {
	case len(text) > MaxArguments:
		return nil, fmt.Errorf("longer than %d bytes", MaxArguments)
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("not valid UTF-8")
	case strings.ContainsRune(text, 0):
		return nil, fmt.Errorf("has a NUL byte")
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
	rest  string
	words []string
	word  strings.Builder
	open  bool // a word has begun; "" in quotes is a word too
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
	s.open = true
	s.word.WriteByte(c)
}

func (s *splitter) endWord() {
	if s.open {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.open = false
}

func (s *splitter) single() error {
	text, rest, ok := strings.Cut(s.rest, "'")
	if !ok {
		return fmt.Errorf("a single quote has no partner")
	}
	s.open = true
	s.word.WriteString(text)
	s.rest = rest
	return nil
}

// double reads to the closing quote. A backslash there escapes only the
// characters that would be special.
func (s *splitter) double() error {
	s.open = true
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
	return fmt.Errorf("a double quote has no partner")
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
