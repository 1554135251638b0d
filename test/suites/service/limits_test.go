package service

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestNoStageWithoutItsRecord: K24, the service sets a limit at which a record, or its number
// as well, cannot be written. Nothing runs as a user then but the cleanup.
func TestNoStageWithoutItsRecord(t *testing.T) {
	for _, destination := range []string{"records", "operator.log"} {
		t.Run(destination, func(t *testing.T) {
			s := opened(t, "capabilities", func(c site.Config) {
				if destination == "operator.log" { // the default
					c.Set("auth", "logging", site.Table{"enabled": true})
				}
			})
			a := attack(t, s, s.Job())
			state := a.state(t)
			before := decisions(t, s, destination)
			for _, limit := range []string{"--fsize=0:", "--fsize=64:"} {
				for _, stage := range []string{"prepare", "run"} {
					r := finished(t, a.command(state, append([]string{"/usr/bin/prlimit", limit}, a.arguments(stage)...)...))
					if r.status != 2 || strings.Contains(r.stdout, s.Account.Name) || !strings.Contains(r.stdout, "this CI resource could not run the job") {
						t.Errorf("%s with %s: %s", stage, limit, r)
					}
				}
			}
			if after := decisions(t, s, destination); after != before {
				t.Fatalf("%d records of decisions, before %d: the limits keep none out", after, before)
			}
			if r := a.stage(t, "cleanup", state); r.status != 0 {
				t.Errorf("cleanup: %s", r)
			}
		})
	}
}

// decisions is how many decisions the operator's log has.
func decisions(t *testing.T, s *site.Site, file string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.StateDir, file))
	testutil.Must(t, err)
	return bytes.Count(text, []byte(`"event":"decision"`))
}

// TestStoppedWithoutTheJournal: a job that administrators have ended stays ended where the
// journal cannot be written.
func TestStoppedWithoutTheJournal(t *testing.T) {
	for _, name := range []string{"root", "capabilities"} {
		for _, by := range []string{"job", "account"} {
			t.Run(name+" "+by, func(t *testing.T) {
				s := opened(t, name)
				a := attack(t, s, s.Job())
				state := a.state(t)
				time.Sleep(time.Second) // marks have whole seconds
				which := []string{fmt.Sprint(a.job.ID)}
				if by == "account" {
					which = []string{"--account", s.Account.Name}
				}
				out, err := exec.Command(s.Admin, append([]string{"stop", "--configuration", s.ConfigFile, "--message", "enough"}, which...)...).CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				live, err := filepath.Glob(filepath.Join(s.StateDir, "journal/*/live"))
				if err != nil || len(live) != 1 {
					t.Fatalf("%q, %v", live, err)
				}
				// A file in the place of the directory is refused.
				testutil.Must(t, os.Rename(live[0], live[0]+".moved"))
				testutil.Must(t, os.WriteFile(live[0], nil, 0o600))
				a.refusedWith(t, 1, "run", a.stage(t, "run", state), "stopped by the administrators of this CI resource: enough")
				testutil.Must(t, os.Remove(live[0]))
				testutil.Must(t, os.Rename(live[0]+".moved", live[0]))
			})
		}
	}
}
