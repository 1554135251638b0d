package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// inner are internal terms of these programs, which a user cannot know.
var inner = regexp.MustCompile(`(?i)\b(handoff|briefs?|leases?|claims?|frames?|sockets?|half|postures?|grants?|slots?|pumps?|reaper|lifeline|descriptors?|goroutines?|errno|struct)\b`)

// printers are the functions whose arguments are texts for a job's log.
var printers = map[string]bool{
	"Systemf": true, "Buildf": true, "WithHint": true, "Warn": true, "Note": true, "Fail": true, "Section": true, "Explain": true,
}

// TestMessagesHaveNoInternalTerms checks every text for a job's log.
func TestMessagesHaveNoInternalTerms(t *testing.T) {
	texts := 0
	for _, p := range list(t, "./internal/...", "./cmd/...") {
		for _, name := range p.GoFiles {
			for line, text := range logTexts(t, filepath.Join(p.Dir, name), nil) {
				texts++
				if word := inner.FindString(text); word != "" {
					t.Errorf("%s/%s: %s: %q is an internal term, in %q", strings.TrimPrefix(p.ImportPath, module), name, line, word, text)
				}
			}
		}
	}
	if texts < 100 {
		t.Errorf("only %d texts were found", texts)
	}
}

// logTexts are the texts for a job's log in a file, by position.
func logTexts(t *testing.T, file string, source any) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !printers[selector.Sel.Name] {
			return true
		}
		for _, argument := range call.Args {
			ast.Inspect(argument, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					text, err := strconv.Unquote(literal.Value)
					if err != nil {
						t.Fatal(err)
					}
					texts[set.Position(literal.Pos()).String()] = text
				}
				return true
			})
		}
		return true
	})
	return texts
}

func TestFindInternalTerms(t *testing.T) {
	got := logTexts(t, "x.go", `package x
func f() {
	failure.Systemf("write handoff: %w", err).WithHint("see the brief")
	voice.Warn("the "+"lease"+" is gone")
	fmt.Errorf("a frame")
	storage.Explain(fmt.Sprintf("cannot read the claim of %s", p), p, err)
}`)
	hits := 0
	for _, text := range got {
		if inner.MatchString(text) {
			hits++
		}
	}
	if hits != 4 || len(got) != 6 {
		t.Errorf("%d hits in %q", hits, got)
	}
}
