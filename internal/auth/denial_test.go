package auth

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/failure"
)

// allowing are the rules that cannot refuse a job by themselves.
var allowing = []string{"lists_pre_validation", "user_allowlist", "groups_allowlist", "default", "cleanup"}

// TestClassOfEveryRefusal compares the table of the decision with what the runner gets
// for a refusal by each rule of the code.
func TestClassOfEveryRefusal(t *testing.T) {
	files, err := filepath.Glob("../../docs/decisions/*-a-refusal-is-final.md")
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	page, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (final|temporary) \\|").FindAllSubmatch(page, -1) {
		documented[string(row[1])] = string(row[2])
	}
	rules := constants(t, "internal/policy/decision.go", "Rule")
	rules = append(rules, RuleRunAs, RuleState, RuleDrain, RuleStopped, RuleUnknown, RuleOther)
	for _, r := range idtoken.AllRules() {
		rules = append(rules, string(r))
	}
	codes, classes := failure.DefaultCodes(), map[string]string{}
	for _, rule := range rules {
		if slices.Contains(allowing, rule) {
			continue
		}
		refused := failure.Deniedf("no")
		setClass(&denial{rule: rule, err: refused}, rule)
		classes[rule] = map[int]string{codes.Build: "final", codes.System: "temporary"}[codes.Status(refused)]
	}
	if diff := cmp.Diff(documented, classes); diff != "" {
		t.Errorf("%s differs from the code (-page +code):\n%s", files[0], diff)
	}
	for _, rule := range finalRules() {
		if !slices.Contains(slices.Collect(maps.Keys(classes)), rule) {
			t.Errorf("%q is no rule that refuses", rule)
		}
	}
}
