package evidence

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// TestRotationLosesNoRecord rotates the log with the package's own configuration,
// several times, while a stage runs: a record that is written late must not go to
// a file that has been compressed and removed.
func TestRotationLosesNoRecord(t *testing.T) {
	rootOnly(t)
	debian.Need(t, map[string]string{"/usr/sbin/logrotate": "logrotate"})
	s := site.New(t)
	conf := filepath.Join(t.TempDir(), "logrotate")
	text := strings.ReplaceAll(readLog(t, "../../../rpm/share/logrotate"), "/var/lib/jacamar/operator.log", defaultLog(s.StateDir))
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	begun := filepath.Join(s.Dir, "fifo")
	if err := exec.Command("mkfifo", "-m", "0666", begun).Run(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	j := s.Job("echo waiting", "cat "+begun)
	e := s.Runner().Start(j)
	for range 3 {
		if err := e.AwaitOutput(ctx, "build_script", "waiting"); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("/usr/sbin/logrotate", "--force", "--state", conf+".state", conf).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		runPassing(t, s, "true") // another job's records, so that there is something to rotate
	}
	if err := os.WriteFile(begun, nil, 0); err != nil {
		t.Fatal(err)
	}
	r := e.Wait()
	if compressed, _ := filepath.Glob(defaultLog(s.StateDir) + ".*.gz"); len(compressed) == 0 {
		t.Error("nothing was compressed")
	}
	out, err := exec.Command("sh", "-c", "zcat -f "+defaultLog(s.StateDir)+"*").Output()
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	for _, rec := range parse(t, string(out)) {
		if rec.Job == j.ID && rec.Event == "stage_end" {
			ended++
		}
	}
	if ended != len(r.Calls) {
		t.Errorf("the ends of %d stages are recorded, and the job had %d", ended, len(r.Calls))
	}
	if gaps := documentedGaps(t, s); gaps != "" {
		t.Errorf("the manual's command finds a gap: %s", gaps)
	}
}

// documentedGaps runs the command of docs/tracing.md that finds missing records.
func documentedGaps(t *testing.T, s *site.Site) string {
	t.Helper()
	_, rest, ok := strings.Cut(readLog(t, "../../../docs/tracing.md"), "\nzcat ")
	command, _, _ := strings.Cut(rest, "\n```")
	if !ok || !strings.Contains(command, "awk") {
		t.Fatal("docs/tracing.md has no command that finds missing records")
	}
	out, err := exec.Command("sh", "-c", strings.ReplaceAll("zcat "+command, "/var/lib/jacamar", s.StateDir)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestGapCommand removes a line from the log.
func TestGapCommand(t *testing.T) {
	s := site.New(t)
	runPassing(t, s, "true")
	if gaps := documentedGaps(t, s); gaps != "" {
		t.Errorf("a gap in a whole log: %s", gaps)
	}
	lines := strings.SplitAfter(readLog(t, defaultLog(s.StateDir)), "\n")
	if err := os.WriteFile(defaultLog(s.StateDir), []byte(strings.Join(append(lines[:3:3], lines[4:]...), "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if gaps := documentedGaps(t, s); gaps != "between 3 and 5" {
		t.Errorf("the gap between 3 and 5 is reported as %q", gaps)
	}
}
