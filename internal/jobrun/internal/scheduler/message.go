package scheduler

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// Message is what a batch system's program printed, in the form in which a job's log
// can show it: printable lines, few enough to be read.
type Message struct {
	// Lead is the line that tells most about the failure, "" when nothing was printed.
	Lead string
	// Lines are all lines in their order, the lead among them.
	Lines []string
}

// Bounds of what is repeated of one program's output.
const (
	maxMessageLines = 20
	maxMessageBytes = 4 << 10
	maxMessageLine  = 1 << 10
)

// Hear makes a program's output readable: its error output, and its standard output
// where the error output gives no reason. Banners, usage texts and lines without
// words are left out; the lead is the last line that is left, or the one before it
// where that only says that there was an error.
func MessageOf(r Reply) Message {
	lines := messageLines(r.Stderr)
	lead := leading(lines)
	if lead < 0 {
		lines = append(messageLines(r.Stdout), lines...)
		lead = leading(lines)
	}
	if len(lines) == 0 {
		return Message{}
	}
	if lead < 0 {
		lead = len(lines) - 1
	}
	return Message{Lead: withoutName(lines[lead]), Lines: bound(lines, lead)}
}

// Text is all lines as one.
func (s Message) Text() string { return strings.Join(s.Lines, "; ") }

// messageLines are the printable lines of an output that have words of their own.
func messageLines(output string) []string {
	var lines []string
	usage := false
	for line := range strings.SplitSeq(newlines.Replace(output), "\n") {
		usage = usageText().MatchString(line) || usage && strings.TrimLeft(line, " \t") != line
		line = readable(line)
		if usage || banner(line) || help().MatchString(line) {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

var (
	newlines  = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")
	usageText = Pattern(`^(?i:usage):`)
	// help are the lines by which getopt's callers, Grid Engine and optparse close.
	help = Pattern(`^(?:Try ["'].*["'] for more information\.?|Exiting\.)$`)
	// escapes are the control sequences of ECMA-48, and the strings that end with
	// BEL or ST.
	escapes = Pattern("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")
)

// readable makes a line printable: terminal sequences go, a tab becomes a space,
// and what else controls a terminal or is not UTF-8 becomes a question mark.
func readable(line string) string {
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
	return cut(strings.TrimSpace(job.Printable(line)), maxMessageLine)
}

// banner reports whether a line is decoration: without letter or digit, or framed
// like "** Welcome **".
func banner(line string) bool {
	if !strings.ContainsFunc(line, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
		return true
	}
	const frame = "*#=|+~-_"
	return strings.IndexByte(frame, line[0]) >= 0 && line[len(line)-1] == line[0] && len(line) > 2 &&
		(line[1] == line[0] || line[1] == ' ')
}

// unspecific are errors that name no reason; the line before them often does.
var unspecific = Pattern(`(?i)unspecified error|administratively rejected|more detailed explanation|aborted by esub|plugin terminated with error|job violates accounting/qos policy|^error$`)

// leading is the index of the last line that gives a reason, -1 for none.
func leading(lines []string) int {
	for i := len(lines) - 1; i >= 0; i-- {
		if !unspecific().MatchString(lines[i]) {
			return i
		}
	}
	return -1
}

// named is how programs begin their lines: the program's name, and a level.
var named = Pattern(`^[A-Za-z][\w.+-]*: (?i:error|fatal|fatal error): (.+)$`)

// withoutName leaves out the program's name and the level.
func withoutName(line string) string {
	if m := named().FindStringSubmatch(line); m != nil {
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

// cut shortens a text at a character's end.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit -= len("…"); limit > 0 && !utf8.RuneStart(s[limit]); limit-- {
	}
	return s[:limit] + "…"
}
