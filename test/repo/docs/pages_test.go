package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
)

const top = "../../.."

func readPage(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// literals returns the string literals of the programs' own code, by value.
func literals(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range []string{"internal", "cmd"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if value, err := strconv.Unquote(lit.Value); err == nil {
						found[value] = path
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// variable is the name of an environment variable, alone or before its value.
var variable = regexp.MustCompile(`^([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+_?)(?:=.*)?$`)

// assigned is a variable of the programs of a scheduler whose name is one word.
var assigned = regexp.MustCompile(`^([A-Z][A-Z0-9]+)=[^\n]+$`)

// otherWord reports whether a text only looks like the name of a variable: a state or a reason of
// a scheduler, a capability, or an example in the configuration's reference.
func otherWord(text, path string) bool {
	return strings.HasPrefix(text, "CAP_") || (strings.Contains(path, "/scheduler/") && !strings.Contains(text, "=")) ||
		(strings.Contains(path, "internal/config/") && text != "SITE_ID_TOKEN")
}

// TestEveryVariableIsDocumented, and every documented one is in the code.
func TestEveryVariableIsDocumented(t *testing.T) {
	inCode := map[string]bool{}
	for text, path := range literals(t) {
		if m := variable.FindStringSubmatch(text); m != nil && !otherWord(text, path) {
			inCode[m[1]] = true
		}
		if m := assigned.FindStringSubmatch(text); m != nil && strings.Contains(path, "/scheduler/") {
			inCode[m[1]] = true
		}
	}
	// Written as a prefix and a name.
	for from, to := range map[string]string{"FEDERATED_UID": "JWT_FEDERATED_UID", "IDENTITY_": "JWT_IDENTITY_"} {
		if inCode[from] || from == "IDENTITY_" {
			delete(inCode, from)
			inCode[to] = true
		}
	}
	delete(inCode, "CUSTOM_ENV_") // a prefix, in the text of the page
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\|").FindAllStringSubmatch(readPage(t, "environment.md"), -1) {
		documented[m[1]] = true
	}
	for name := range inCode {
		if !documented[name] {
			t.Errorf("%s is in the code and not in docs/environment.md", name)
		}
	}
	for name := range documented {
		if !inCode[name] {
			t.Errorf("%s is in docs/environment.md and not in the code", name)
		}
	}
}

// TestMigrating: each key of the original that is refused is on the page, with
// the same advice.
func TestMigrating(t *testing.T) {
	text := readPage(t, "migrating.md")
	for key, advice := range config.Removed() {
		if row := fmt.Sprintf("| `%s` | %s |", key, advice); !strings.Contains(text, row) {
			t.Errorf("docs/migrating.md lacks the row\n%s", row)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+\\.[a-z_.]+)` \\|").FindAllStringSubmatch(text, -1) {
		if _, ok := config.Removed()[m[1]]; !ok {
			t.Errorf("docs/migrating.md has %s, which is not refused", m[1])
		}
	}
}
