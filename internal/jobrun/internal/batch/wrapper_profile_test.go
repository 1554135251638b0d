package batch

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/profiles"
)

func TestMain(m *testing.M) {
	profiles.DefaultSignals()
	os.Exit(m.Run())
}

// nodeRun is the result of a script on a node.
type nodeRun struct {
	end  endStatus
	log  string
	runs int
	hung bool
}

// runOnNode runs a wrapper whose job has a home with a profile.
func runOnNode(t *testing.T, d directory, home string, limit time.Duration) (r nodeRun) {
	t.Helper()
	cmd := node(t, d, home)
	// Not by its own path: while tests run in parallel, a child of another one may have
	// the file open for writing (ETXTBSY).
	cmd.Path, cmd.Args = "/bin/bash", []string{"bash", d.path(wrapperFile)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(limit, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	_ = cmd.Wait()
	r.hung = !late.Stop()
	profiles.End(home, cmd.Process.Pid)
	r.end, _ = d.readEnd()
	r.log = read(t, d, logFile)
	r.runs = profiles.Marks(t, home)
	return r
}

// TestWrapperAfterEveryProfile runs one script after each profile of the table.
func TestWrapperAfterEveryProfile(t *testing.T) {
	for _, p := range profiles.All() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			d := submitted(t, p.ScriptText())
			r := runOnNode(t, d, p.Home(t), time.Minute)
			if r.runs > 1 || (r.end.code == 0 && r.runs != 1) {
				t.Fatalf("the script ran %d times, %+v", r.runs, r.end)
			}
			if p.Races && r.end.code == 128+int(syscall.SIGKILL) {
				return
			}
			if r.hung || r.end.code != profiles.Code || r.end.scriptNotRun || r.runs != 1 || !strings.HasSuffix(r.log, p.Want()) {
				t.Errorf("the script ran %d times, %+v, hung %v; the log:\n%s\nwant\n%s", r.runs, r.end, r.hung, r.log, p.Want())
			}
			if warned := strings.Count(r.log, "JACAMAR_CI_NO_PROFILE"); (warned == 1) != p.Ends {
				t.Errorf("the log contains JACAMAR_CI_NO_PROFILE %d times:\n%s", warned, r.log)
			}
			if strings.Contains(r.log, "Killed") || strings.Contains(r.log, "JACAMAR_SCRIPT") {
				t.Errorf("the log contains internal messages:\n%s", r.log)
			}
		})
	}
}

// TestWrapperAfterRandomProfiles: whatever a profile is put together from, no
// script runs twice on a node, and none succeeds that did not run.
func TestWrapperAfterRandomProfiles(t *testing.T) {
	count := 500
	if testing.Short() {
		count = 60
	}
	r, seed := profiles.Seeded(t)
	for range count {
		p, want := profiles.Random(r), r.IntN(2)*profiles.Code
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			home := p.Home(t)
			d := submitted(t, "echo run >>"+job.ShellQuote(filepath.Join(home, profiles.Mark))+"\nexit "+strconv.Itoa(want)+"\n")
			r := runOnNode(t, d, home, 3*time.Second)
			switch {
			case r.runs > 1:
				t.Errorf("%s: the script ran %d times", p.Name, r.runs)
			case r.hung:
			case r.end.at.IsZero():
				t.Errorf("%s: the wrapper recorded no end; the log:\n%s", p.Name, r.log)
			case r.end.code == 0 && (r.runs != 1 || want != 0):
				t.Errorf("%s: success, though the script ran %d times and ends with %d; the log:\n%s", p.Name, r.runs, want, r.log)
			}
		})
	}
}
