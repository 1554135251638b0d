package scheduler

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Named are the arguments that a program's words speak of: those whose option is
// there, otherwise those whose value is, each as a word of its own.
func (s Message) Named(args []Argument) []Argument {
	var byOption, byValue []Argument
	for _, a := range args {
		switch {
		case s.has(option(a)) || s.has(quotedLetter(a)):
			byOption = append(byOption, a)
		case distinct(a.Value) && s.hasName(a.Value):
			byValue = append(byValue, a)
		}
	}
	if len(byOption) > 0 {
		return byOption
	}
	return byValue
}

// option is the argument's option as it was written.
func option(a Argument) string {
	word, _, _ := strings.Cut(a.Words[0], "=")
	if !strings.HasPrefix(word, "--") && (len(a.Name) == 1 || strings.HasPrefix(a.Flag, "--")) {
		return word[:min(2, len(word))]
	}
	return word
}

// quotedLetter is how getopt(3) calls an option of one letter.
func quotedLetter(a Argument) string {
	letter := strings.TrimPrefix(a.Words[0], "-")
	if strings.HasPrefix(letter, "-") {
		return option(a)
	}
	return "-- '" + letter[:min(1, len(letter))] + "'"
}

// distinct reports whether a value is unlikely to stand in a message by chance.
func distinct(value string) bool {
	return len(value) > 2 && strings.IndexFunc(value, unicode.IsLetter) >= 0
}

// has reports whether a text stands in one of the lines as a word of its own.
func (s Message) has(text string) bool {
	return s.find(text, func(before, after string) bool {
		return !continues(lastRune(before)) && !continues(firstRune(after))
	})
}

// hasName is has for a text that could be a word of the message by chance: it is a
// name where it is quoted, or stands before or behind a colon.
func (s Message) hasName(text string) bool {
	return s.find(text, func(before, after string) bool {
		return (before == "" || strings.HasSuffix(before, ": ") || strings.HasSuffix(before, "=") || isQuote(lastRune(before))) &&
			(after == "" || after == "." || strings.HasPrefix(after, ": ") || isQuote(firstRune(after)))
	})
}

// find reports whether the text is in a line with surroundings that fit.
func (s Message) find(text string, fits func(before, after string) bool) bool {
	for _, line := range s.Lines {
		for from := 0; ; {
			i := strings.Index(line[from:], text)
			if i < 0 || text == "" {
				break
			}
			from += i + len(text)
			if fits(line[:from-len(text)], line[from:]) {
				return true
			}
		}
	}
	return false
}

func firstRune(text string) rune { r, _ := utf8.DecodeRuneInString(text); return r }

func lastRune(text string) rune { r, _ := utf8.DecodeLastRuneInString(text); return r }

func continues(r rune) bool {
	return r == '-' || r == '_' || (r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)))
}

func isQuote(r rune) bool { return strings.ContainsRune("'\"`<>", r) }
