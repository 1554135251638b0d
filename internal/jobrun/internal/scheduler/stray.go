package scheduler

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// misuse is a text that is no list of arguments, with what to do about it.
type misuse struct{ what, cure string }

func (m misuse) Error() string { return m.what }

// directive begins a line by which a script gives arguments to a batch system.
var directive = Pattern(`^#+(?:SBATCH|PBS|BSUB|COBALT|MSUB|OAR|PJM|\$|(?i:flux:))$`)

// programs are the commands that submit.
var programs = map[string]bool{"sbatch": true, "srun": true, "salloc": true, "qsub": true, "bsub": true, "flux": true, "batch": true, "flux:": true}

// stray explains a word that is no option: what the mistake is where it can be
// known, otherwise what fits most of them.
func stray(word, usual string) error {
	shown := fmt.Sprintf("%q", job.Clip(word))
	first, size := utf8.DecodeRuneInString(word)
	switch {
	case directive().MatchString(word):
		return misuse{fmt.Sprintf("%s is how a script gives arguments; here they stand alone", shown), "leave " + job.Clip(word) + " out"}
	case programs[word]:
		return misuse{fmt.Sprintf("%s is a command; here its arguments stand alone", shown), "leave " + word + " out"}
	case strings.HasPrefix(word, "#"):
		return misuse{fmt.Sprintf("%s begins with \"#\"; there are no comments here", shown), "leave it out, or put it in quotes where it is a value"}
	case isDash(first):
		return misuse{fmt.Sprintf("%s begins with %q (U+%04X), which is not the ASCII dash \"-\"", shown, first, first), "write " + ascii(first, word[size:])}
	}
	if odd := strings.IndexFunc(word, typographic); odd >= 0 && first != '-' {
		r, _ := utf8.DecodeRuneInString(word[odd:])
		return misuse{fmt.Sprintf("%s has %q (U+%04X) in it, which groups or separates nothing here", shown, r, r), `write the ASCII quotes "..." and the ASCII space`}
	}
	return misuse{shown + " " + usual, ""}
}

// isDash reports whether a character looks like the ASCII dash and is another.
func isDash(r rune) bool { return r != '-' && r != '_' && (unicode.Is(unicode.Pd, r) || r == '\u2212') }

// ascii is an option as it was meant: word processors make one dash of two.
func ascii(dash rune, rest string) string {
	name := strings.TrimLeftFunc(rest, func(r rune) bool { return r == '-' || isDash(r) })
	if letters, _, _ := strings.Cut(name, "="); len(letters) > 1 && (dash == '\u2014' || dash == '\u2013' || name != rest) {
		return "--" + job.Clip(name)
	}
	return "-" + job.Clip(name)
}

// typographic reports whether a character looks like an ASCII quote or a space, or
// like nothing, and is another.
func typographic(r rune) bool {
	switch r {
	case '“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»', '‹', '›', '″', '′':
		return true
	}
	return r > unicode.MaxASCII && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r))
}
