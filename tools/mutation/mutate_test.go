package main

import (
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

const sample = `package p

func f(a, b bool, n int) (x int) {
	if a && !b {
		return n
	}
	for n < 3 {
		n++
	}
	switch n {
	case 1:
	}
	switch {
	case n == 1, a:
		return func() bool { return b }
	}
	return 0
}

func g(m map[string]bool) bool { return m["x"] }
`

func TestMutants(t *testing.T) {
	all, err := mutants("package", "p.go", sample)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		got = append(got, m.function+" "+m.now)
		if _, err := parser.ParseFile(token.NewFileSet(), "p.go", m.source, 0); err != nil || m.source == sample {
			t.Errorf("%s: %v", m, err)
		}
	}
	want := []string{"f !(a)", "f !(b)", "f !(n < 3)", "f !(n == 1)", "f !(a)", "f !(b)", "f /*&&*/||", `g !(m["x"])`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if name := all[4].name(); name != "package/p.go f: !(a) #2" {
		t.Errorf("the second of one text is %q", name)
	}
}

// TestCombine: each mutant negates its expressions, inner ones first, and number 0 none.
func TestCombine(t *testing.T) {
	const text = "package p\n\nfunc f(a, b bool) bool { return a && !b }\n"
	all, err := mutants("package", "p.go", text)
	if err != nil || len(all) != 3 {
		t.Fatal(all, err)
	}
	got := combine(text, map[int]mutant{1: all[0], 2: all[1], 3: all[2]})
	const want = "return ((((((a) != (mutationChosen == 1))) != (mutationChosen == 3)) && ((!((b) != (mutationChosen == 2))) != (mutationChosen == 3))) != (mutationChosen == 3))"
	if !strings.Contains(got, want+" }") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := combine(text, nil); got != text {
		t.Errorf("without mutants: %s", got)
	}
}

// TestCombinedSourcesParse, and the added file is in the same package.
func TestCombinedSourcesParse(t *testing.T) {
	t.Chdir("../..")
	all, err := everyMutant()
	if err != nil {
		t.Fatal(err)
	}
	first := all[0].pkg
	files, name, err := combined(first, slices.DeleteFunc(all, func(m mutant) bool { return m.pkg != first }))
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	files["chosen.go"] = choose(name, 7)
	names := map[string]bool{}
	for file, text := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, 0)
		if err != nil {
			t.Fatal(err)
		}
		names[parsed.Name.Name] = true
	}
	if len(names) != 1 {
		t.Errorf("the files are of the packages %v", names)
	}
}

// TestEveryPackageHasMutants: -only selects mutants by name, so each name must be
// unique.
func TestEveryPackageHasMutants(t *testing.T) {
	t.Chdir("../..")
	all, err := everyMutant()
	if err != nil {
		t.Fatal(err)
	}
	names, found := map[string]bool{}, map[string]int{}
	for _, m := range all {
		if names[m.name()] {
			t.Errorf("two are named %s", m.name())
		}
		names[m.name()] = true
		found[m.pkg]++
	}
	for _, r := range packages {
		if found[r.path] == 0 {
			t.Errorf("%s has none", r.path)
		}
	}
	if len(all) < 400 {
		t.Errorf("there are %d", len(all))
	}
}
