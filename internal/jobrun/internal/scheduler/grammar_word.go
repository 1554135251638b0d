package scheduler

import (
	"fmt"
	"slices"
	"strings"
)

// Words puts options into the grammar that their program spells with one dash,
// as "-pe name slots"; how many words follow is the same for all of them.
func (g *Grammar) Words(values int, names string) { g.words(values, names, false) }

// ReserveWords is Words for options that belong to the engine.
func (g *Grammar) ReserveWords(values int, names string) { g.words(values, names, true) }

func (g *Grammar) words(values int, names string, reserved bool) {
	kind := None
	if values > 0 {
		kind = Required
	}
	for name := range strings.FieldsSeq(names) {
		*g = append(*g, Option{Long: name, Value: kind, Reserved: reserved, Word: true, Values: values})
	}
}

// ofWords reports whether the program knows no other form of option.
func (g Grammar) ofWords() bool { return len(g) > 0 && g[0].Word }

// word reads one option and the words that belong to it. What is not in the list
// is refused: nobody could tell whether the next word is its value or the
// script, nor whether "-Jx" is a reserved option in disguise.
func (g Grammar) word(words []string) ([]Argument, int, error) {
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
	return nil, 0, stray(words[0], "is not an option that is known here; a value stands apart from its option, and one with spaces needs quotes")
}

// Gives reports whether the arguments have one of the options, by their long names.
// Arguments that cannot be read have none.
func (g Grammar) Gives(args []string, names ...string) bool {
	parsed, err := g.Parse(args)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(parsed, func(a Argument) bool {
		return slices.ContainsFunc(names, a.couldBe)
	})
}
