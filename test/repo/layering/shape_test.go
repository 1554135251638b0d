package layering

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// mostLines is how long a function of the privileged program may be. The longest
// should be serve, which a reader must see as a whole.
const mostLines = 80

func TestPrivilegedFunctionsAreShort(t *testing.T) {
	pipeline := false
	for _, p := range list(t, "./internal/auth/...", "./internal/driver", "./internal/lockdown", "./internal/monitor") {
		for _, name := range p.GoFiles {
			for function, lines := range functions(t, filepath.Join(p.Dir, name), nil) {
				if lines > mostLines {
					t.Errorf("%s of %s has %d lines, over %d", function, name, lines, mostLines)
				}
				pipeline = pipeline || strings.HasSuffix(p.ImportPath, "internal/auth") && function == "serve"
			}
		}
	}
	if !pipeline {
		t.Error("there is no function serve, which SECURITY.md calls the one to read")
	}
}

// functions returns the lengths of a file's functions, in lines.
func functions(t *testing.T, file string, text any) map[string]int {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	lengths := map[string]int{}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			lengths[fn.Name.Name] = max(lengths[fn.Name.Name], set.Position(fn.End()).Line-set.Position(fn.Pos()).Line+1)
		}
	}
	return lengths
}

func TestFunctionsAreCountedByLines(t *testing.T) {
	got := functions(t, "x.go", "package x\n\nfunc short() {}\n\nfunc long() {\n\n\n}\n")
	if got["short"] != 1 || got["long"] != 4 {
		t.Errorf("got %v", got)
	}
}
