package glob

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

func parse(t *testing.T, pattern string) Pattern {
	t.Helper()
	p, err := Parse(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no string // space separated
	}{
		{"hpc/solver", "hpc/solver HPC/Solver", "hpc/solve hpc/solver2 xhpc/solver hpc/solver/x hpc"},
		{"Hpc/Solver", "hpc/solver", "hpc/x"},
		{"hpc/*", "hpc/a hpc/.a", "hpc hpc/a/b x/hpc/a"},
		{"hpc/a*z", "hpc/az hpc/abcz", "hpc/a/z hpc/azb"},
		{"*/*", "a/b", "a a/b/c"},
		{"hpc/**", "hpc/a hpc/a/b/c hpc", "hpcx/a x/hpc/a"},
		{"**", "a a/b a/b/c", ""},
		{"**/solver", "solver a/solver a/b/solver", "a/solver/x a/xsolver"},
		{"hpc/**/solver", "hpc/solver hpc/a/solver hpc/a/b/solver hpc/solver/solver", "hpc/a hpc/solver/x solver"},
		{"**/a/**", "a x/a a/x x/a/y x/y/a/a/z", "b x/b/ab"},
		{"**/a/**/b", "a/b x/a/b a/x/b a/a/b/b", "b/a a/b/c"},
		{"a/**/**", "a a/b a/b/c", "b"},
		{"a/?", "a/x", "a/xy a"},
		{"a/[b-d]", "a/b a/D", "a/e"},
		{"a/[^b]", "a/c", "a/b"},
		{`a/\*`, "a/*", "a/b"},
		{"a/*/**", "a/b a/b/c", "a"},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			g := parse(t, c.pattern)
			if g.String() != c.pattern {
				t.Errorf("the pattern reads %q", g)
			}
			for p := range strings.FieldsSeq(c.yes) {
				if !g.Match(p) {
					t.Errorf("%q does not match", p)
				}
			}
			for p := range strings.FieldsSeq(c.no + " x//y") {
				if g.Match(p) && c.pattern != "**" {
					t.Errorf("%q matches", p)
				}
			}
		})
	}
	if (Pattern{}).Match("") || (Pattern{}).Match("a") {
		t.Error("the zero pattern matches")
	}
}

// TestMatchExact: case has a meaning, and no pattern matches nothing.
func TestMatchExact(t *testing.T) {
	for _, c := range []struct {
		pattern Pattern
		name    string
		want    bool
	}{
		{parse(t, "docker.io/Team/*"), "docker.io/Team/tool", true},
		{parse(t, "docker.io/Team/*"), "docker.io/team/tool", false},
		{parse(t, "docker.io/**"), "quay.io/tool", false},
		{Pattern{}, "", false},
		{Pattern{}, "docker.io/tool", false},
	} {
		if got := c.pattern.MatchExact(c.name); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.name, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ name, pattern, want string }{
		{"empty", "", `"" has an empty part`},
		{"leading slash", "/hpc/*", `"/hpc/*" has an empty part`},
		{"trailing slash", "hpc/", `"hpc/" has an empty part`},
		{"double slash", "hpc//x", `"hpc//x" has an empty part`},
		{"stars next to text", "hpc/a**", `"hpc/a**" has "**" together with other characters`},
		{"three stars", "hpc/***", `"hpc/***" has "**" together with other characters`},
		{"open class", "hpc/[a", `"hpc/[a" is not a pattern: unterminated "[" or "\"`},
		{"open escape", `hpc/a\`, `"hpc/a\\" is not a pattern: unterminated "[" or "\"`},
		{"control character", "hpc/\n", `"hpc/\n" has control characters`},
		{"not UTF-8", "hpc/\xff", `"hpc/\xff" has control characters`},
		{"long", strings.Repeat("a", 1025), `"` + strings.Repeat("a", 64) + `…" is longer than 1024 bytes`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if g, err := Parse(c.pattern); err == nil || !strings.HasPrefix(err.Error(), c.want) || g != (Pattern{}) {
				t.Errorf("got %+v, error %v\nwant %s", g, err, c.want)
			}
		})
	}
	if _, err := Parse(strings.Repeat("a", 1024)); err != nil {
		t.Errorf("the longest pattern: %v", err)
	}
}

// TestAgainstRegexp compares with the regular expression of the same meaning.
func TestAgainstRegexp(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	word := func(words string, most int) string {
		all := strings.Fields(words)
		parts := make([]string, 1+rng.IntN(most))
		for i := range parts {
			parts[i] = all[rng.IntN(len(all))]
		}
		return strings.Join(parts, "/")
	}
	matches := 0
	for range 20000 {
		pattern, project := word("a b a* *b * ** **", 5), word("a b ab aab", 5)
		expr := "/" + pattern + "/"
		expr = strings.ReplaceAll(expr, "**", "#")
		expr = strings.ReplaceAll(expr, "*", "[^/]*")
		for strings.Contains(expr, "/#/") {
			expr = strings.ReplaceAll(expr, "/#/", "/([^/]+/)*")
			expr = strings.ReplaceAll(expr, ")*#/", ")*([^/]+/)*")
		}
		want := regexp.MustCompile("^" + expr + "$").MatchString("/" + project + "/")
		if got := parse(t, pattern).Match(project); got != want {
			t.Fatalf("%q on %q: %v, the regular expression %s gives %v", pattern, project, got, expr, want)
		}
		if want {
			matches++
		}
	}
	if matches < 1000 {
		t.Errorf("only %d of the cases match", matches)
	}
}

func TestGlobTimeIsBounded(t *testing.T) {
	g := parse(t, strings.Repeat("**/a*b*c*/", 80)+"x")
	begin := time.Now()
	if g.Match(strings.Repeat("aaaabbbbcccc/", 80) + "y") {
		t.Error("matches")
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("took %s", d)
	}
}
