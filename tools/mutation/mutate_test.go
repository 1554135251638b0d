package main

import (
	"go/parser"
	"go/token"
	"slices"
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
