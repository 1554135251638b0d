package auth

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/idtoken"
)

// TestEveryRuleIsDocumented: an operator who finds a rule in a record finds it in
// docs/authorization.md.
func TestEveryRuleIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/authorization.md")
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, r := range idtoken.AllRules() {
		name, _ := strings.CutPrefix(string(r), "token: ")
		if !strings.Contains(string(text), name) {
			missing = append(missing, string(r))
		}
	}
	rules := constants(t, "internal/policy/decision.go", "Rule")
	if len(rules) < 20 {
		t.Errorf("only %q are rules", rules)
	}
	for _, r := range rules {
		if r != "default" && !strings.Contains(string(text), r) {
			missing = append(missing, r)
		}
	}
	if len(missing) > 0 {
		t.Errorf("docs/authorization.md does not have %q", missing)
	}
}

// constants returns the values of a file's text constants of a type.
func constants(t *testing.T, file, typeName string) (values []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == typeName {
			for _, v := range spec.Values {
				if text, ok := v.(*ast.BasicLit); ok {
					values = append(values, strings.Trim(text.Value, `"`))
				}
			}
		}
		return true
	})
	return values
}
