package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTallyPrintsFailuresLikeGoTest(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", "tests: 0 passed, 0 failed, 0 skipped\n"},
		{
			"a package that passed keeps silent",
			"=== RUN   TestA\n    a_test.go:9: note\nnoise\n--- PASS: TestA (0.00s)\nPASS\nok  \tmod/a\t0.1s\n",
			"ok  \tmod/a\t0.1s\ntests: 1 passed, 0 failed, 0 skipped\n",
		},
		{
			"no test files",
			"?   \tmod/a\t[no test files]\n",
			"?   \tmod/a\t[no test files]\ntests: 0 passed, 0 failed, 0 skipped\n",
		},
		{
			"a package that failed shows the output of its failed tests",
			"=== RUN   TestA\n    a_test.go:7: note\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n    a_test.go:9: wrong\n--- FAIL: TestB (0.00s)\nFAIL\nFAIL\tmod/a\t0.1s\nFAIL\n",
			"    a_test.go:9: wrong\n--- FAIL: TestB (0.00s)\nFAIL\nFAIL\tmod/a\t0.1s\nFAIL\ntests: 1 passed, 1 failed, 0 skipped\n",
		},
		{
			"a package that does not compile; the compiler's words are on standard error",
			"FAIL\tmod/a [build failed]\n",
			"FAIL\tmod/a [build failed]\ntests: 0 passed, 0 failed, 0 skipped\n",
		},
		{
			"a panic ends the output",
			"=== RUN   TestA\npanic: out of range\ngoroutine 1\n",
			"panic: out of range\ngoroutine 1\ntests: 0 passed, 0 failed, 0 skipped\n",
		},
		{
			"the failed package's lines are not the next one's",
			"--- FAIL: TestA (0.00s)\nFAIL\tmod/a\t0.1s\n--- PASS: TestB (0.00s)\nok  \tmod/b\t0.1s\n",
			"--- FAIL: TestA (0.00s)\nFAIL\tmod/a\t0.1s\nok  \tmod/b\t0.1s\ntests: 1 passed, 1 failed, 0 skipped\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t, c.in); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestTallyCountsSkipsByReason(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{
			"the line before it",
			"=== RUN   TestA\n    a_test.go:9: needs root\n--- SKIP: TestA (0.00s)\n",
			"  skipped    1  needs root\n",
		},
		{
			"its own line, not that of a test in parallel",
			"=== RUN   TestA\n    a_test.go:9: needs root\n=== RUN   TestB\n    a_test.go:10: other\n--- SKIP: TestA (0.00s)\n",
			"  skipped    1  needs root\n",
		},
		{
			"a subtest",
			"=== RUN   TestA\n=== RUN   TestA/x\n    a_test.go:9: no ACLs here\n--- PASS: TestA (0.00s)\n    --- SKIP: TestA/x (0.00s)\n",
			"  skipped    1  no ACLs here\n",
		},
		{
			"none",
			"=== RUN   TestA\n--- SKIP: TestA (0.00s)\n",
			"  skipped    1  no reason given\n",
		},
		{
			"a test of the same name in another package",
			"=== RUN   TestA\n    a_test.go:9: needs root\n--- PASS: TestA (0.00s)\nok  \tmod/a\t0.1s\n=== RUN   TestA\n--- SKIP: TestA (0.00s)\n",
			"  skipped    1  no reason given\n",
		},
		{
			"the most frequent first",
			"=== RUN   TestA\n    a_test.go:9: b\n--- SKIP: TestA (0.00s)\n=== RUN   TestB\n    a_test.go:9: c\n--- SKIP: TestB (0.00s)\n=== RUN   TestC\n    a_test.go:9: c\n--- SKIP: TestC (0.00s)\n=== RUN   TestD\n    a_test.go:9: a\n--- SKIP: TestD (0.00s)\n",
			"  skipped    2  c\n  skipped    1  a\n  skipped    1  b\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t, c.in); !strings.HasSuffix(got, c.want) || strings.Count(got, "  skipped ") != strings.Count(c.want, "\n") {
				t.Errorf("got\n%s\nwant at its end\n%s", got, c.want)
			}
		})
	}
}

func TestTallyCountsBlackBoxCases(t *testing.T) {
	const names = "--- PASS: TestA (0.00s)\n    --- PASS: TestA/root (0.00s)\n        --- PASS: TestA/root/x (0.00s)\n        --- PASS: TestA/root/y (0.00s)\n--- PASS: TestAB (0.00s)\n"
	for _, c := range []struct{ name, in, want string }{
		{"the innermost count", names + "ok  \tmod/test/suites/e2e\t0.1s\n", "black-box cases: 3 passed"},
		{"two packages", names + "ok  \tmod/test/suites/e2e\t0.1s\n" + names + "ok  \tmod/test/suites/authz\t0.1s\n", "black-box cases: 6 passed"},
		{"a package of another kind", names + "ok  \tmod/internal/e2e\t0.1s\n", ""},
		{"a package that failed", names + "FAIL\tmod/test/suites/e2e\t0.1s\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t, c.in); !strings.Contains(got, c.want) || strings.Contains(got, "black-box") != (c.want != "") {
				t.Errorf("got\n%s\nwant in it %q", got, c.want)
			}
		})
	}
}

// TestTallyParsesGoTest runs go test itself, as its output may change
// between releases of Go.
func TestTallyParsesGoTest(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module sample\n\ngo 1.26.0\n",
		"sample_test.go": `package sample

import "testing"

func TestSkips(t *testing.T) { t.Parallel(); t.Skip("needs a moon") }
func TestPasses(t *testing.T) { t.Parallel(); t.Log("needs nothing") }
func TestFails(t *testing.T) { t.Parallel(); t.Run("sub", func(t *testing.T) { t.Error("wrong") }) }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-v", "./...")
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("go test passed:\n%s", text)
	}
	got := run(t, string(text))
	for _, want := range []string{"sample_test.go:7: wrong", "--- FAIL: TestFails", "tests: 1 passed, 2 failed, 1 skipped\n  skipped    1  needs a moon\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s\nof\n%s", want, got, text)
		}
	}
}

func run(t *testing.T, in string) string {
	t.Helper()
	var counts tally
	var out bytes.Buffer
	if err := counts.read(strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	counts.summarize(&out)
	return out.String()
}
