package schedulers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/gridengine"
)

// insideGridEngine marks the process that TestGridEngine starts: it is in
// namespaces of its own and brings the cluster up there.
const insideGridEngine = "JACAMAR_TEST_GRID_ENGINE"

// The whole suite over a real Grid Engine.
func TestGridEngine(t *testing.T) {
	if *realName != "" {
		t.Skip("-real names another scheduler")
	}
	if os.Geteuid() != 0 {
		t.Skip("a real Grid Engine needs root: namespaces of its own, and jobs as other users")
	}
	debian.Need(t, gridengine.Programs())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{self, "-test.v", "-real=sge", "-test.run=" + strings.Join([]string{
		"^Test(Outcome", "OnlyUserScriptsAreSubmitted", "Log", "Scripts", "Cancel", "CancelledByAnotherUser", "PendingTimeout", "TimeLimit", "ThirtyAtOnce", "Killed", "KilledClient", "SiteArgumentIsRefused", "Paths", "AccountNames", "FilteredList)$",
	}, "|")}
	cmd := gridengine.Inside(append(args, "-test.short")...)
	cmd.Env = append(os.Environ(), insideGridEngine+"=1", insideAccounts+"=1")
	out, err := cmd.CombinedOutput()
	report(t, string(out))
	if err != nil {
		t.Errorf("%v", err)
	}
}

// report evaluates the output of the tests inside.
func report(t *testing.T, out string) {
	t.Helper()
	passed := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "--- PASS") {
			passed++
		}
	}
	if passed == 0 || strings.Contains(out, "--- FAIL") || strings.Contains(out, "--- SKIP") {
		t.Errorf("not every test passed over a real Grid Engine:\n%s", out)
	}
	t.Logf("%d tests passed over a real Grid Engine", passed)
}

// bringUp sets up what this process was started for: accounts, a Grid Engine or both.
func bringUp() (down func() error, err error) {
	var downs []func() error
	down = func() error {
		var errs []error
		for _, d := range downs {
			errs = append(errs, d())
		}
		return errors.Join(errs...)
	}
	for _, step := range []struct {
		mark string
		up   func() (func() error, error)
	}{{insideAccounts, nameAccounts}, {insideGridEngine, gridEngineUp}} {
		if os.Getenv(step.mark) == "" {
			continue
		}
		d, err := step.up()
		if err != nil {
			return nil, err
		}
		downs = append(downs, d)
	}
	return down, nil
}

func gridEngineUp() (down func() error, err error) {
	dir := filepath.Join("/srv", fmt.Sprintf("jacamar-ge-%d", os.Getpid()))
	c, err := gridengine.Up(dir)
	if err != nil {
		return nil, err
	}
	for _, pair := range c.Env() {
		name, value, _ := strings.Cut(pair, "=")
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return c.Down, nil
}
