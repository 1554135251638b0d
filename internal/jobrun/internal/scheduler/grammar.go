package scheduler

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
)

// Value reports whether an option takes a value (getopt_long(3)).
type Value uint8

// The three kinds: an optional value is only ever attached, as --nice=5.
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
	Reserved bool // belongs to the engine
	// Word marks an option of a program that spells it -name, as bsub does.
	Word bool
	// Values is how many words follow a Word option; 0 means as Value says.
	Values int
}

// flag is the option as its program's users write it.
func (o Option) flag() string {
	if o.Word || len(o.Long) == 1 {
		return "-" + o.Long
	}
	return "--" + o.Long
}

// Grammar is the list of a program's options. It may hold those of several
// versions: an option that a version lacks is that version's to refuse.
type Grammar []Option

// Add puts options into the grammar: long names, each with its letter after a
// slash where it has one.
func (g *Grammar) Add(v Value, names string) { g.add(v, names, false) }

// Reserve is Add for options that belong to the engine.
func (g *Grammar) Reserve(v Value, names string) { g.add(v, names, true) }

func (g *Grammar) add(v Value, names string, reserved bool) {
	for name := range strings.FieldsSeq(names) {
		long, letter, _ := strings.Cut(name, "/")
		o := Option{Long: long, Value: v, Reserved: reserved}
		if letter != "" {
			o.Short = letter[0]
		}
		*g = append(*g, o)
	}
}

// Argument is one option as somebody gave it.
type Argument struct {
	Name     string   // the long name, whatever the spelling was; as written when unknown
	Flag     string   // the same with its dashes
	Value    string   // its value, "" for none
	Words    []string // the words as given
	Reserved bool
	// Among are the long names that an abbreviation could stand for, when it is the
	// program's version that decides; Name is then as written.
	Among []string
	// Source is where the argument comes from: a CI variable, or a name of the
	// site's configuration.
	Source Source
}

// Source is an origin of arguments. Site is true for the site's configuration.
type Source struct {
	Name string
	Site bool
}

// Parse reads words as getopt_long(3) would: --name=value, --name value,
// abbreviations, -Nvalue, -N value and -HNvalue. A word that is no option is an
// error, since the submit program would take it for the script.
func (g Grammar) Parse(words []string) ([]Argument, error) {
	var args []Argument
	for len(words) > 0 {
		var (
			got []Argument
			n   int
			err error
		)
		switch w := words[0]; {
		case g.ofWords():
			got, n, err = g.word(words)
		case strings.HasPrefix(w, "--") && w != "--":
			got, n, err = g.long(words)
		case strings.HasPrefix(w, "-") && w != "-" && w != "--":
			got, n, err = g.cluster(words)
		default:
			err = stray(w, "is not an option; a value with spaces needs quotes")
		}
		if err != nil {
			return nil, err
		}
		args, words = append(args, got...), words[n:]
	}
	return args, nil
}

// long reads one --option and tells how many words it took.
func (g Grammar) long(words []string) ([]Argument, int, error) {
	name, value, attached := strings.Cut(words[0][2:], "=")
	opt, among, err := g.lookup(name, attached)
	if err != nil {
		return nil, 0, err
	}
	arg := Argument{Name: opt.Long, Flag: opt.flag(), Value: value, Words: words[:1:1], Reserved: opt.Reserved, Among: among}
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

// lookup finds an option by its name or by an abbreviation. The list is longer than
// that of any one version, so that an abbreviation which could stand for several is
// left to the program, unless one of them belongs to the engine or only some of
// them take the next word for a value.
func (g Grammar) lookup(name string, attached bool) (opt Option, among []string, err error) {
	fits := g.fitting(name)
	switch {
	case len(fits) == 0:
		// Newer than this list, or a typing error that the program will name.
		return Option{Long: name, Value: Optional}, nil, nil
	case len(fits) == 1:
		return fits[0], nil, nil
	}
	opt = Option{Long: name, Value: fits[0].Value}
	for _, o := range fits {
		if o.Reserved || (!attached && (o.Value == Required) != (opt.Value == Required)) {
			return Option{}, nil, misuse{
				fmt.Sprintf("--%s could be --%s or --%s", job.Clip(name), fits[0].Long, other(fits[0], o, fits[1])), "write the option out",
			}
		}
		if o.Value != None && opt.Value == None {
			opt.Value = o.Value
		}
		among = append(among, o.Long)
	}
	return opt, among, nil
}

// other is the second of two options to name.
func other(first, found, second Option) string {
	if found.Long == first.Long {
		return second.Long
	}
	return found.Long
}

// fitting are the options that a name or an abbreviation stands for.
func (g Grammar) fitting(name string) (fits []Option) {
	for _, o := range g {
		if o.Long == name {
			return []Option{o}
		}
		if name != "" && strings.HasPrefix(o.Long, name) {
			fits = append(fits, o)
		}
	}
	return fits
}

// cluster reads one word of short options, of which the last may have a value in
// the same word or in the next.
func (g Grammar) cluster(words []string) ([]Argument, int, error) {
	var args []Argument
	letters := words[0][1:]
	for i := 0; i < len(letters); i++ {
		if !isLetter(letters[i]) {
			return nil, 0, stray(words[0], "is not an option")
		}
		opt := g.short(letters[i])
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

func (g Grammar) short(letter byte) Option {
	for _, o := range g {
		if o.Short == letter {
			return o
		}
	}
	return Option{Long: string(rune(letter))}
}

// isLetter keeps a dash from becoming a word of its own when a cluster is taken
// apart.
func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
