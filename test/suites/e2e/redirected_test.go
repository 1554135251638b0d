package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestOneFileForBothOutputs runs a stage by hand, as a person does: with both outputs
// redirected to one file, the file has every line of both.
func TestOneFileForBothOutputs(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site.Site) {
		const lines = 500
		log := filepath.Join(s.Dir, "tmp", "log")
		if err := os.WriteFile(log, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(log, 0o666); err != nil {
			t.Fatal(err)
		}
		r := s.Runner()
		r.Custom.Run = append([]string{"/bin/sh", "-c", `case " $* " in *" build_script ") exec "$@" >"$0" 2>&1; esac; exec "$@"`, log}, r.Custom.Run...)
		site.Want(t, r.Run(s.Job(fmt.Sprintf("for i in $(seq %d); do echo out $i; echo err $i >&2; done", lines))), fakerunner.Success, 0)
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i <= lines; i++ {
			for _, line := range []string{fmt.Sprintf("\nout %d\n", i), fmt.Sprintf("\nerr %d\n", i)} {
				if strings.Count("\n"+string(text), line) != 1 {
					t.Fatalf("%q is not there once in:\n%.2000s", line, text)
				}
			}
		}
	})
}

// TestBrokenOutputIsRecorded: a runner that no longer reads, as one that has died, does
// not end jacamar-auth before it has recorded the end of the stage.
func TestBrokenOutputIsRecorded(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		log := filepath.Join(s.StateDir, "operator.log")
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "logging", site.Table{"location": log}) }))
		for _, stage := range []string{"prepare", "build_script"} {
			r := s.Runner()
			r.Custom.Prepare, r.Custom.Run = unread(stage, r.Custom.Prepare), unread(stage, r.Custom.Run)
			job := s.Job("sleep 5")
			site.Want(t, r.Run(job), fakerunner.SystemFailure, 0)
			text, err := os.ReadFile(log)
			testutil.Must(t, err)
			if !hasLine(string(text), `"event":"stage_end"`, `"exit":"system"`, fmt.Sprintf(`"job":%d`, job.ID), fmt.Sprintf(`stage":%q`, stage)) {
				t.Errorf("the end of %s is not recorded:\n%s", stage, text)
			}
		}
	})
}

// unread is a command whose output has no reader where its stage is the one that is named.
func unread(stage string, command []string) []string {
	return append([]string{"/bin/bash", "-c", `case " $* " in *" $0 "*) exec "$@" > >(:); esac; exec "$@"`, stage}, command...)
}

// hasLine reports whether some line of a text has all parts.
func hasLine(text string, parts ...string) bool {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return true
		}
	}
	return false
}
