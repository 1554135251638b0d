package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// Value is whether an option takes a value (getopt_long(3)).
type Value uint8

// The three kinds: an optional value must be attached, as in --nice=5.
const (
	None Value = iota
	Required
	Optional
)

// Option is one option of a submit program.
type Option struct {
	Long     string // without dashes
	Short    byte   // 0 for none
	Value    Value
	Reserved bool // set by the engine
	// SingleDash marks an option of the form -name, as those of bsub.
	SingleDash bool
	// Values is how many words follow a SingleDash option, which has no Value.
	Values int
}

// flag is the option with its dashes.
func (o Option) flag() string {
	if o.SingleDash || len(o.Long) == 1 {
		return "-" + o.Long
	}
	return "--" + o.Long
}

// Grammar is the list of a program's options. It may contain those of several versions:
// a version rejects options that it lacks.
type Grammar []Option

// Add adds options: long names, each with its letter after a slash where it has one.
func (g *Grammar) Add(v Value, names string) { g.add(Option{Value: v}, names) }

// Reserve is Add for options that the engine sets.
func (g *Grammar) Reserve(v Value, names string) { g.add(Option{Value: v, Reserved: true}, names) }

// AddSingleDash adds options with a single dash, as "-pe name slots"; values is how many
// words follow each of them.
func (g *Grammar) AddSingleDash(values int, names string) {
	g.add(Option{SingleDash: true, Values: values}, names)
}

// ReserveSingleDash is AddSingleDash for options that the engine sets.
func (g *Grammar) ReserveSingleDash(values int, names string) {
	g.add(Option{SingleDash: true, Values: values, Reserved: true}, names)
}

// add adds options that have all but their names from o.
func (g *Grammar) add(o Option, names string) {
	for name := range strings.FieldsSeq(names) {
		long, letter, _ := strings.Cut(name, "/")
		o.Long, o.Short = long, 0
		if letter != "" {
			o.Short = letter[0]
		}
		*g = append(*g, o)
	}
}

// Argument is one option as it was given.
type Argument struct {
	Name     string   // the long name; as written when unknown
	Flag     string   // the same with its dashes
	Value    string   // its value, "" for none
	Words    []string // as given
	Reserved bool
	// Candidates are the long names that an ambiguous abbreviation may mean, depending
	// on the program's version; Name is then as written.
	Candidates []string
	// Source is the origin of the argument: a CI variable, or a part of the site's
	// configuration.
	Source Source
}

// Source is an origin of arguments. Site is true for the site's configuration.
type Source struct {
	Name string
	Site bool
}

// Parse parses words as getopt_long(3) does: --name=value, --name value, abbreviations,
// -Nvalue, -N value and -HNvalue. A word that is not an option is an error: the submit
// program would take it for the script.
func (g Grammar) Parse(words []string) ([]Argument, error) {
	var args []Argument
	for len(words) > 0 {
		var (
			got []Argument
			n   int
			err error
		)
		switch w := words[0]; {
		case g.isSingleDash():
			got, n, err = g.parseSingleDash(words)
		case strings.HasPrefix(w, "--") && w != "--":
			got, n, err = g.parseLong(words)
		case strings.HasPrefix(w, "-") && w != "-" && w != "--":
			got, n, err = g.parseCluster(words)
		default:
			err = notAnOption(w, "is not an option; a value with spaces needs quotes")
		}
		if err != nil {
			return nil, err
		}
		args, words = append(args, got...), words[n:]
	}
	return args, nil
}

// parseLong parses one --option and returns how many words it consists of.
func (g Grammar) parseLong(words []string) ([]Argument, int, error) {
	name, value, attached := strings.Cut(words[0][2:], "=")
	opt, candidates, err := g.lookup(name, attached)
	if err != nil {
		return nil, 0, err
	}
	arg := Argument{Name: opt.Long, Flag: opt.flag(), Value: value, Words: words[:1:1], Reserved: opt.Reserved, Candidates: candidates}
	switch {
	case attached && opt.Value == None:
		return nil, 0, fmt.Errorf("--%s takes no value", opt.Long)
	case attached || opt.Value != Required:
		return []Argument{arg}, 1, nil
	case len(words) == 1:
		return nil, 0, fmt.Errorf("--%s needs a value", opt.Long)
	}
	arg.Value, arg.Words = words[1], words[:2:2]
	return []Argument{arg}, 2, nil
}

// lookup finds an option by its name or by an abbreviation. The list contains the
// options of several versions, so an ambiguous abbreviation is passed to the program,
// unless the engine sets one of the options or only some of them take the next word for
// a value.
func (g Grammar) lookup(name string, attached bool) (opt Option, candidates []string, err error) {
	found := g.matches(name)
	switch {
	case len(found) == 0:
		// Newer than this list, or a typing error that the program will report.
		return Option{Long: name, Value: Optional}, nil, nil
	case len(found) == 1:
		return found[0], nil, nil
	}
	opt = Option{Long: name, Value: found[0].Value}
	for i, o := range found {
		if o.Reserved || (!attached && (o.Value == Required) != (opt.Value == Required)) {
			return Option{}, nil, misuseError{
				fmt.Sprintf("--%s could be --%s or --%s", job.Clip(name), found[0].Long, found[max(i, 1)].Long), "write the full option",
			}
		}
		opt.Value = max(opt.Value, o.Value)
		candidates = append(candidates, o.Long)
	}
	return opt, candidates, nil
}

// matches returns the options that a name or an abbreviation may mean.
func (g Grammar) matches(name string) (found []Option) {
	for _, o := range g {
		if o.Long == name {
			return []Option{o}
		}
		if name != "" && strings.HasPrefix(o.Long, name) {
			found = append(found, o)
		}
	}
	return found
}

// parseCluster parses one word of short options; the last may have a value in the same
// word or in the next.
func (g Grammar) parseCluster(words []string) ([]Argument, int, error) {
	var args []Argument
	letters := words[0][1:]
	for i := 0; i < len(letters); i++ {
		if !isLetter(letters[i]) {
			return nil, 0, notAnOption(words[0], "is not an option")
		}
		opt := g.lookupShort(letters[i])
		arg := Argument{Name: opt.Long, Flag: opt.flag(), Words: []string{"-" + letters[i:i+1]}, Reserved: opt.Reserved}
		if opt.Value == None {
			args = append(args, arg)
			continue
		}
		arg.Value = letters[i+1:]
		arg.Words[0] += arg.Value
		if arg.Value != "" || opt.Value == Optional {
			return append(args, arg), 1, nil
		}
		if len(words) == 1 {
			return nil, 0, fmt.Errorf("-%c needs a value", letters[i])
		}
		arg.Value, arg.Words = words[1], append(arg.Words, words[1])
		return append(args, arg), 2, nil
	}
	return args, 1, nil
}

func (g Grammar) lookupShort(letter byte) Option {
	for _, o := range g {
		if o.Short == letter {
			return o
		}
	}
	return Option{Long: string(rune(letter))}
}

// isLetter excludes the dash, which would become a word of its own when a cluster is
// split.
func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// isSingleDash reports whether the program has only options with a single dash.
func (g Grammar) isSingleDash() bool { return len(g) > 0 && g[0].SingleDash }

// parseSingleDash parses one option and its values. It rejects options that are not in
// the list: it could not determine whether the next word is a value or the script, nor
// whether "-Jx" is a reserved option.
func (g Grammar) parseSingleDash(words []string) ([]Argument, int, error) {
	name := strings.TrimPrefix(words[0], "-")
	for _, o := range g {
		if o.Long != name || name == words[0] {
			continue
		}
		n := 1 + o.Values
		if len(words) < n {
			return nil, 0, fmt.Errorf("%s needs a value", o.flag())
		}
		return []Argument{{
			Name: o.Long, Flag: o.flag(), Value: strings.Join(words[1:n], " "), Words: words[:n:n], Reserved: o.Reserved,
		}}, n, nil
	}
	return nil, 0, notAnOption(words[0], "is not a known option; separate a value from its option by a space, and quote a value with spaces")
}

// Contains reports whether the arguments contain one of the options, given by long names.
// It returns false for arguments that cannot be parsed.
func (g Grammar) Contains(args []string, names ...string) bool {
	parsed, err := g.Parse(args)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(parsed, func(a Argument) bool {
		return slices.ContainsFunc(names, a.CouldBe)
	})
}

// misuseError is the error of a text that is not a list of arguments, with a fix.
type misuseError struct{ problem, fix string }

func (m misuseError) Error() string { return m.problem }

// directive is the start of a line by which a script passes arguments to a batch system.
var directive = Pattern(`^#+(?:SBATCH|PBS|BSUB|COBALT|MSUB|OAR|PJM|\$|(?i:flux:))$`)

// programs are the submit commands.
var programs = map[string]bool{"sbatch": true, "srun": true, "salloc": true, "qsub": true, "bsub": true, "flux": true, "batch": true, "flux:": true}

// notAnOption is the error of a word that is not an option. It describes a recognized
// mistake; for others it uses the text fallback.
func notAnOption(word, fallback string) error {
	quoted := fmt.Sprintf("%q", job.Clip(word))
	first, size := utf8.DecodeRuneInString(word)
	switch {
	case directive().MatchString(word):
		return misuseError{fmt.Sprintf("%s is a directive of batch scripts; give the arguments alone", quoted), "remove " + job.Clip(word)}
	case programs[word]:
		return misuseError{fmt.Sprintf("%s is a command; give its arguments alone", quoted), "remove " + word}
	case strings.HasPrefix(word, "#"):
		return misuseError{fmt.Sprintf("%s begins with \"#\"; comments are not supported", quoted), "remove it, or quote it if it is a value"}
	case isDash(first):
		return misuseError{fmt.Sprintf("%s begins with %q (U+%04X), which is not the ASCII dash \"-\"", quoted, first, first), "write " + asciiOption(first, word[size:])}
	}
	if at := strings.IndexFunc(word, isTypographic); at >= 0 && first != '-' {
		r, _ := utf8.DecodeRuneInString(word[at:])
		return misuseError{fmt.Sprintf("%s contains %q (U+%04X), which is not an ASCII quote or space", quoted, r, r), `use ASCII quotes "..." and ASCII spaces`}
	}
	return misuseError{quoted + " " + fallback, ""}
}

// isDash reports whether a character looks like the ASCII dash but is not it.
func isDash(r rune) bool { return r != '-' && r != '_' && (unicode.Is(unicode.Pd, r) || r == '\u2212') }

// asciiOption is the intended option: word processors replace two dashes by one.
func asciiOption(dash rune, rest string) string {
	name := strings.TrimLeftFunc(rest, func(r rune) bool { return r == '-' || isDash(r) })
	if letters, _, _ := strings.Cut(name, "="); len(letters) > 1 && (dash == '\u2014' || dash == '\u2013' || name != rest) {
		return "--" + job.Clip(name)
	}
	return "-" + job.Clip(name)
}

// isTypographic reports whether a character looks like an ASCII quote or a space, or is
// invisible, but is not ASCII.
func isTypographic(r rune) bool {
	switch r {
	case '“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»', '‹', '›', '″', '′':
		return true
	}
	return r > unicode.MaxASCII && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r))
}
