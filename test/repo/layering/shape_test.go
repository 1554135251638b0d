package layering

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mostLines is how long a function of the privileged program may be. The longest
// should be serve, which a reader must see as a whole.
const mostLines = 70

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

// mostOfNoauth bounds the lines of internal/noauth: what both programs do is in
// internal/driver.
const mostOfNoauth = 200

func TestNoauthIsSmall(t *testing.T) {
	lines := 0
	for _, p := range list(t, "./internal/noauth") {
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines += strings.Count(string(text), "\n")
		}
	}
	if lines == 0 || lines > mostOfNoauth {
		t.Errorf("internal/noauth has %d lines, want at most %d", lines, mostOfNoauth)
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

// TestFileSizes: a file has one subject, which a reader finds in few files and can read
// as a whole.
func TestFileSizes(t *testing.T) {
	var sizes []int
	for _, p := range list(t, "./internal/...", "./cmd/...") {
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(text, []byte("\n"))
			sizes = append(sizes, lines)
			if lines > 450 {
				t.Errorf("%s of %s has %d lines, over 450", name, p.ImportPath, lines)
			}
		}
	}
	slices.Sort(sizes)
	if median := sizes[len(sizes)/2]; median < 90 || median > 160 {
		t.Errorf("half of the files have at most %d lines, want 90 to 160", median)
	}
}
