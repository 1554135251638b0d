package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
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
