package evidence

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestFullDisk: a log that cannot be written stops no job, causes one warning, damages no
// record before or after, and has a gap in the numbers.
func TestFullDisk(t *testing.T) {
	rootOnly(t)
	deployments(t, func(t *testing.T, s *site.Site) {
		dir := filepath.Join(s.Dir, "log")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
		if err := os.Chown(dir, int(keeperUID(s)), -1); err != nil {
			t.Fatal(err)
		}
		log := filepath.Join(dir, "operator.log")
		if err := s.Reconfigure(located(log)); err != nil {
			t.Fatal(err)
		}
		runPassing(t, s, "true")
		ballast := filepath.Join(dir, "ballast")
		// The file's last page still has space for some records.
		if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
			t.Fatal("the file system does not fill up")
		}
		runner := s.Runner()
		runner.Judge = nil // cleanup prints a warning
		for n := range 3 {
			r := runner.Run(s.Job("true"))
			warnings := strings.Count(r.Trace, "cannot write the operator's log")
			if r.Outcome != fakerunner.Success || warnings > 1 || n == 2 && warnings != 1 {
				t.Errorf("job %d ended as %s and has %d warnings that the log cannot be written:\n%s", n, r.Outcome, warnings, r.Trace)
			}
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		j, r := runPassing(t, s, "true")
		var all []record
		broken := 0
		for line := range strings.Lines(readLog(t, log)) {
			if !strings.HasSuffix(line, "}\n") {
				broken++
				continue
			}
			all = append(all, parse(t, line)...)
		}
		last := all[len(all)-recordsOf(r):]
		checkComplete(t, last, j, r)
		if broken > 1 {
			t.Errorf("%d lines are broken", broken)
		}
		if before := all[len(all)-recordsOf(r)-1]; last[0].Seq-before.Seq < 10 {
			t.Errorf("record %d follows record %d, and those between are lost", last[0].Seq, before.Seq)
		}
	})
}
