package deps

import (
	"slices"
	"testing"
)

func TestDifferences(t *testing.T) {
	have := []string{"fmt", "internal/abi", "jacamar-ci/cmd/x", "golang.org/x/sys/unix"}
	for _, c := range []struct {
		name, list string
		want       []string
	}{
		{"the same", header() + "fmt\ngolang.org/x/sys/unix\ninternal/abi\njacamar-ci/cmd/x\n", nil},
		{
			"one too many of each", header() + "fmt\ngolang.org/x/sys/unix\nio\njacamar-ci/cmd/x\n",
			[]string{
				"internal/abi is linked and not in the list: is it worth it? Then `make deps`",
				"io is in the list and not linked any more: `make deps`",
			},
		},
		{"another release of Go, with another standard library", "# go1.1\nio\ngolang.org/x/sys/unix\njacamar-ci/cmd/x\n", nil},
		{
			"another release of Go, and another module", "# go1.1\nfmt\njacamar-ci/cmd/x\n",
			[]string{"golang.org/x/sys/unix is linked and not in the list: is it worth it? Then `make deps`"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := differences(have, c.list); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	have := []string{"fmt", "net", "net/url", "nettle", "jacamar-ci/a", "jacamar-ci/b"}
	for _, c := range []struct {
		name   string
		limits Limits
		want   []string
	}{
		{"none", Limits{Linked: 6}, nil},
		{"too many", Limits{Linked: 5}, []string{"6 packages are linked, over the 5 that were agreed"}},
		{"a package and what is below it", Limits{Linked: 6, Never: map[string]string{"net": "offline"}}, []string{"net is linked: offline", "net/url is linked: offline"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.limits.faults(have); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestTagsAreThoseOfTheMakefile(t *testing.T) {
	if got, want := tags(t), "urfave_cli_no_docs,urfave_cli_no_suggest,nethttpomithttp2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
