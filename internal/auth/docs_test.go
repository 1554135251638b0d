package auth

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/auth/internal/idtoken"
)

// TestEveryRuleIsDocumented: an operator who finds a rule in a record finds it in
// docs/authorization.md, and those of tokens in the order in which they are checked.
func TestEveryRuleIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/authorization.md")
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	var shown []idtoken.Rule
	for _, row := range regexp.MustCompile(`(?m)^\| token: ([a-z, ]+) \|`).FindAllStringSubmatch(string(text), -1) {
		for name := range strings.SplitSeq(row[1], ", ") {
			shown = append(shown, idtoken.Rule("token: "+name))
		}
	}
	if diff := cmp.Diff(idtoken.AllRules(), shown); diff != "" {
		t.Errorf("docs/authorization.md has other rules of tokens, or in another order (-want +got):\n%s", diff)
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
	for _, r := range append(imageRules(t), RuleRunAs, RuleState, RuleDrain, RuleStopped, RuleConcurrency, RuleUnknown) {
		if !strings.Contains(string(text), "`"+r+"`") {
			missing = append(missing, r)
		}
	}
	if len(missing) > 0 {
		t.Errorf("docs/authorization.md does not have %q", missing)
	}
}

// imageRules returns the names that refusals of images and services have in a record, but for
// those of the site's rules.
func imageRules(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range []string{"../driver/choice.go", "../driver/services.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`ImageError\{"([a-z_.]+)"`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	if len(names) < 8 {
		t.Errorf("only %q are names of refusals of images", names)
	}
	return names
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
