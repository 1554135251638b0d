package scheduler

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// Message is the output of a batch system's program, prepared for a job's log: a
// limited number of printable lines.
type Message struct {
	// Lead is the line that describes the failure best, "" when nothing was printed.
	Lead string
	// Lines are all lines in their order, the lead among them.
	Lines []string
}

// Bounds of what is shown of one program's output.
const (
	maxMessageLines = 20
	maxMessageBytes = 4 << 10
	maxMessageLine  = 1 << 10
)

// MessageOf extracts the message from a reply: from standard error, and from standard
// output too where standard error contains no reason. It leaves out banners, usage texts
// and lines without letters and digits. The lead is the last line that gives a reason.
func MessageOf(r Reply) Message {
	lines := messageLines(r.Stderr)
	lead := leadIndex(lines)
	if lead < 0 {
		lines = append(messageLines(r.Stdout), lines...)
		lead = leadIndex(lines)
	}
	if len(lines) == 0 {
		return Message{}
	}
	if lead < 0 {
		lead = len(lines) - 1
	}
	return Message{Lead: trimProgram(lines[lead]), Lines: bound(lines, lead)}
}

// Text is all lines as one.
func (m Message) Text() string { return strings.Join(m.Lines, "; ") }

// messageLines are the printable lines of an output without banners and usage texts.
func messageLines(output string) []string {
	var lines []string
	usage := false
	for line := range strings.SplitSeq(newlines.Replace(output), "\n") {
		usage = usageText().MatchString(line) || usage && strings.TrimLeft(line, " \t") != line
		line = printable(line)
		if usage || isBanner(line) || closingLine().MatchString(line) {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

var (
	newlines  = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	usageText = Pattern(`^(?i:usage):`)
	// closingLine matches the last line of getopt's callers, Grid Engine and optparse.
	closingLine = Pattern(`^(?:Try ["'].*["'] for more information\.?|Exiting\.)$`)
	// escapes are the control sequences of ECMA-48, and strings terminated by BEL or
	// ST.
	escapes = Pattern("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")
)

// printable removes terminal sequences, and replaces a tab by a space and other control
// characters and invalid UTF-8 by a question mark.
func printable(line string) string {
	line = escapes().ReplaceAllString(line, "")
	line = strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, line)
	return job.Shorten(strings.TrimSpace(job.Printable(line)), maxMessageLine-len("…"))
}

// isBanner reports whether a line is decoration: without letters and digits, or framed
// like "** Welcome **".
func isBanner(line string) bool {
	if !strings.ContainsFunc(line, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return true
	}
	const frame = "*#=|+~-_"
	return strings.IndexByte(frame, line[0]) >= 0 && line[len(line)-1] == line[0] &&
		(line[1] == line[0] || line[1] == ' ')
}

// unspecific are errors without a reason; the line before them often contains it.
var unspecific = Pattern(`(?i)unspecified error|administratively rejected|more detailed explanation|aborted by esub|plugin terminated with error|job violates accounting/qos policy|^error$`)

// leadIndex is the index of the last line that contains a reason, -1 for none.
func leadIndex(lines []string) int {
	for i := len(lines) - 1; i >= 0; i-- {
		if !unspecific().MatchString(lines[i]) {
			return i
		}
	}
	return -1
}

// programPrefix matches a line that begins with a program's name and a level.
var programPrefix = Pattern(`^[A-Za-z][\w.+-]*: (?i:error|fatal|fatal error): (.+)$`)

// trimProgram removes the program's name and the level.
func trimProgram(line string) string {
	if m := programPrefix().FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return line
}

// bound keeps as many of the last lines as fit, and the lead.
func bound(lines []string, lead int) []string {
	first, size := len(lines), len(lines[lead])
	for first > 0 && len(lines)-first < maxMessageLines-3 {
		next := len(lines[first-1])
		if first-1 == lead {
			next = 0
		}
		if size += next + 1; size > maxMessageBytes-64 {
			break
		}
		first--
	}
	if first == 0 {
		return lines
	}
	kept := []string{"[…]"}
	if lead < first {
		kept = append(kept, lines[lead], "[…]")
	}
	return append(kept, lines[first:]...)
}

// NamedArguments returns the arguments that the message names: those whose option is in
// it, otherwise those whose value is.
func (m Message) NamedArguments(args []Argument) []Argument {
	var byOption, byValue []Argument
	for _, a := range args {
		switch {
		case m.containsWord(optionText(a)) || m.containsWord(quotedLetter(a)):
			byOption = append(byOption, a)
		case isDistinctive(a.Value) && m.containsName(a.Value):
			byValue = append(byValue, a)
		}
	}
	if len(byOption) > 0 {
		return byOption
	}
	return byValue
}

// optionText is the argument's option as written.
func optionText(a Argument) string {
	word, _, _ := strings.Cut(a.Words[0], "=")
	if !strings.HasPrefix(word, "--") && (len(a.Name) == 1 || strings.HasPrefix(a.Flag, "--")) {
		return word[:min(2, len(word))]
	}
	return word
}

// quotedLetter is an option of one letter as getopt(3) prints it.
func quotedLetter(a Argument) string {
	letter := strings.TrimPrefix(a.Words[0], "-")
	if strings.HasPrefix(letter, "-") {
		return optionText(a)
	}
	return "-- '" + letter[:min(1, len(letter))] + "'"
}

// isDistinctive reports whether a value is unlikely to be in a message by chance.
func isDistinctive(value string) bool {
	return len(value) > 2 && strings.IndexFunc(value, unicode.IsLetter) >= 0
}

// containsWord reports whether one of the lines contains the text as a separate word.
func (m Message) containsWord(text string) bool {
	return m.containsWhere(text, func(before, after string) bool {
		return !isWordRune(lastRune(before)) && !isWordRune(firstRune(after))
	})
}

// containsName is containsWord for a text that could be in a message by chance: it is a
// name where it is quoted, or next to a colon.
func (m Message) containsName(text string) bool {
	return m.containsWhere(text, func(before, after string) bool {
		return (before == "" || strings.HasSuffix(before, ": ") || strings.HasSuffix(before, "=") || isQuote(lastRune(before))) &&
			(after == "" || after == "." || strings.HasPrefix(after, ": ") || isQuote(firstRune(after)))
	})
}

// containsWhere reports whether a line contains the text in a context that matches.
func (m Message) containsWhere(text string, matches func(before, after string) bool) bool {
	for _, line := range m.Lines {
		for from := 0; ; {
			i := strings.Index(line[from:], text)
			if i < 0 || text == "" {
				break
			}
			from += i + len(text)
			if matches(line[:from-len(text)], line[from:]) {
				return true
			}
		}
	}
	return false
}

func firstRune(text string) rune { r, _ := utf8.DecodeRuneInString(text); return r }

func lastRune(text string) rune { r, _ := utf8.DecodeLastRuneInString(text); return r }

func isWordRune(r rune) bool {
	return r == '-' || r == '_' || (r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)))
}

func isQuote(r rune) bool { return strings.ContainsRune("'\"`<>", r) }
