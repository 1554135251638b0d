// Package securitydocs checks that every attack in docs/security/ledger.md, and every
// vulnerability in docs/security/cve.md, names tests that exist.
package securitydocs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../../.."

// required are the rows that must exist and name a test.
func required() []string {
	rows := []string{"C2", "C9", "C10", "C11", "C12", "C13", "D1", "D3", "D5", "D6"}
	for class, last := range map[string]int{"A": 16, "B": 11, "F": 4, "H": 12, "K": 20} {
		for i := range last {
			rows = append(rows, fmt.Sprintf("%s%d", class, i+1))
		}
	}
	return rows
}

// named is one test that a row names.
type named struct{ pkg, test, source string }

var row = regexp.MustCompile(`^\| ([A-Z]\d+|CVE-\d{4}-\d+|GHSA(?:-[0-9a-z]{4}){3}|[A-Z]+/[A-Z-]+) \|`)

// parse reads the tables: the row's name in the first column, and in the last the
// tests, as "directory Test, Test; directory Test".
func parse(text string) (map[string][]named, error) {
	rows := map[string][]named{}
	for line := range strings.Lines(text) {
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || rows[m[1]] != nil {
			return nil, fmt.Errorf("row %s has %d columns or occurs twice", m[1], len(cells)-2)
		}
		for _, group := range strings.Split(cells[4], ";") {
			pkg, tests, ok := strings.Cut(strings.TrimSpace(group), " ")
			if !ok {
				return nil, fmt.Errorf("row %s: %q is not a directory and its tests", m[1], group)
			}
			for _, test := range strings.Split(tests, ",") {
				rows[m[1]] = append(rows[m[1]], named{pkg: pkg, test: strings.TrimSpace(test)})
			}
		}
	}
	return rows, nil
}

func text(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/security", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func read(t *testing.T, file string) map[string][]named {
	t.Helper()
	rows, err := parse(text(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// tests returns the source of every test function of a package, its comment
// included.
func tests(dir string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				from := f.Pos()
				if f.Doc != nil {
					from = f.Doc.Pos()
				}
				found[f.Name.Name] = string(text[set.Position(from).Offset:set.Position(f.End()).Offset])
			}
		}
	}
	return found, nil
}

func TestEveryRowHasItsTests(t *testing.T) {
	rows := read(t, "ledger.md")
	for _, name := range required() {
		if len(rows[name]) == 0 {
			t.Errorf("row %s has no test", name)
		}
	}
	for name, all := range rows {
		for _, n := range exist(t, name, all) {
			if n.pkg == "test/suites/authz" && !regexp.MustCompile(`\b`+name+`\b`).MatchString(n.source) {
				t.Errorf("row %s names the test %s, which does not mention it", name, n.test)
			}
		}
	}
}

// exist fails the test for each named test that does not exist. It returns the others
// with their source.
func exist(t *testing.T, row string, all []named) (there []named) {
	t.Helper()
	for _, n := range all {
		found, err := tests(n.pkg)
		if err != nil {
			t.Fatal(err)
		}
		source, ok := found[n.test]
		if !ok {
			t.Errorf("row %s names the test %s in %s, which does not exist", row, n.test, n.pkg)
			continue
		}
		n.source = source
		there = append(there, n)
	}
	return there
}

func TestParse(t *testing.T) {
	rows, err := parse("| Row | x | y | z |\n| --- | --- | --- | --- |\n| A1 | a | b | p/q TestX, TestY; r TestZ |\n")
	if err != nil || fmt.Sprint(rows) != "map[A1:[{p/q TestX } {p/q TestY } {r TestZ }]]" {
		t.Errorf("%v, %v", rows, err)
	}
	for name, text := range map[string]string{
		"no test":      "| A1 | a | b |  |\n",
		"no directory": "| A1 | a | b | TestX |\n",
		"twice":        "| A1 | a | b | p T |\n| A1 | a | b | p T |\n",
		"columns":      "| A1 | a | p T |\n",
	} {
		if rows, err := parse(text); err == nil {
			t.Errorf("%s: accepted as %v", name, rows)
		}
	}
}
