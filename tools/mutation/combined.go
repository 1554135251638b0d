package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A combined source has every mutant of a package: each expression that a mutant
// negates is negated if that mutant's number is the chosen one. So the package's tests
// are built once. The number is text in the program file: a copy with another number is
// another mutant, also where a test starts itself with an empty environment.

// numberText is the text of a number in a program.
func numberText(number int) string { return fmt.Sprintf("number of the chosen mutant: %06d", number) }

// choose returns the file that is added to the package. The compiler does not evaluate
// Atoi.
func choose(name string, number int) string {
	return fmt.Sprintf(`package %s

import mutationstrconv "strconv"

var mutationText = %q

var mutationChosen, _ = mutationstrconv.Atoi(mutationText[len(mutationText)-6:])
`, name, numberText(number))
}

// combined returns the text of each changed file of a package, and the package's name. The
// mutants are numbered from 1.
func combined(pkg string, all []mutant) (files map[string]string, name string, err error) {
	byFile := map[string]map[int]mutant{}
	for i, m := range all {
		if byFile[m.file] == nil {
			byFile[m.file] = map[int]mutant{}
		}
		byFile[m.file][i+1] = m
	}
	files = map[string]string{}
	for file, mutants := range byFile {
		path := filepath.Join(pkg, file)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, "", err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.PackageClauseOnly)
		if err != nil {
			return nil, "", err
		}
		files[path], name = combine(string(text), mutants), parsed.Name.Name
	}
	return files, name, nil
}

// negation is an expression that a mutant negates.
type negation struct {
	span
	number int
}

// combine puts the mutants, by number, into the text of a file.
func combine(text string, mutants map[int]mutant) string {
	opened, closed := map[int]int{}, map[int][]negation{}
	for _, number := range slices.Sorted(maps.Keys(mutants)) {
		for _, s := range mutants[number].negated {
			opened[s.from]++
			closed[s.to] = append(closed[s.to], negation{s, number})
		}
	}
	var b strings.Builder
	for at := range len(text) + 1 {
		slices.SortStableFunc(closed[at], func(a, b negation) int { return b.from - a.from }) // the inner one first
		for _, n := range closed[at] {
			fmt.Fprintf(&b, ") != (mutationChosen == %d))", n.number)
		}
		b.WriteString(strings.Repeat("((", opened[at]))
		b.WriteString(text[at:min(at+1, len(text))])
	}
	return b.String()
}
