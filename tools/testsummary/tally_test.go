package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/testutil"
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
			"    a_test.go:9: wrong\n--- FAIL: TestB (0.00s)\nFAIL\nFAIL\tmod/a\t0.1s\nFAIL\ntests: 1 passed, 1 failed, 0 skipped\n  failed        TestB\n",
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
			"--- FAIL: TestA (0.00s)\nFAIL\tmod/a\t0.1s\nok  \tmod/b\t0.1s\ntests: 1 passed, 1 failed, 0 skipped\n  failed        TestA\n",
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

// TestTallyNamesWhatRanTooLong: go test itself ends a test that takes longer than its limit.
func TestTallyNamesWhatRanTooLong(t *testing.T) {
	text := goTest(t, `package sample

import "testing"

func TestWaits(t *testing.T) { t.Run("sub", func(t *testing.T) { select {} }) }
func TestPasses(t *testing.T) {}
`, "-timeout", "1s")
	if got := run(t, text); !strings.Contains(got, "  failed        TestWaits/sub (") {
		t.Errorf("got\n%s\nof\n%s", got, text)
	}
}

// TestTallyParsesGoTest runs go test itself, as its output may change
// between releases of Go.
func TestTallyParsesGoTest(t *testing.T) {
	text := goTest(t, `package sample

import "testing"

func TestSkips(t *testing.T) { t.Parallel(); t.Skip("needs a moon") }
func TestPasses(t *testing.T) { t.Parallel(); t.Log("needs nothing") }
func TestFails(t *testing.T) { t.Parallel(); t.Run("sub", func(t *testing.T) { t.Error("wrong") }) }
`)
	got := run(t, text)
	for _, want := range []string{"sample_test.go:7: wrong", "--- FAIL: TestFails", "tests: 1 passed, 2 failed, 1 skipped\n", "  failed        TestFails/sub\n", "  skipped    1  needs a moon\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s\nof\n%s", want, got, text)
		}
	}
}

// goTest is what go test prints about a test file that does not pass.
func goTest(t *testing.T, file string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	testutil.Must(t, errors.Join(
		os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module sample\n\ngo 1.26.0\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "sample_test.go"), []byte(file), 0o600),
	))
	cmd := exec.Command("go", append([]string{"test", "-v", "./..."}, args...)...)
	cmd.Dir = dir
	text, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("go test passed:\n%s", text)
	}
	return string(text)
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
