package batch

import (
	"strings"
	"testing"
	"time"
)

// TestSuspended: the job's log shows once that a job is suspended, and that it runs again.
func TestSuspended(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() {
			w.start()
			for at, state := range map[time.Duration]string{time.Hour: "SUSPENDED", 2 * time.Hour: "RUNNING", 3 * time.Hour: "STOPPED"} {
				time.AfterFunc(at, func() { w.state(state, "n1", "None") })
			}
			time.AfterFunc(4*time.Hour, func() { w.finish(0, false, "COMPLETED") })
		}
		if err, _ := w.run(noStop()); err != nil {
			t.Error(err)
		}
		rest := w.log.String()
		for _, line := range []string{"job 42 does not run at the moment: it is suspended (SUSPENDED)", "job 42 runs again", "job 42 does not run at the moment: it was stopped (STOPPED)"} {
			before, after, found := strings.Cut(rest, line)
			if !found || strings.Contains(before, "at the moment") || strings.Contains(before, "again") {
				t.Errorf("no %q, or another line before it:\n%s", line, w.log)
			}
			rest = after
		}
		if strings.Contains(rest, "at the moment") || strings.Contains(rest, "again") {
			t.Errorf("more lines:\n%s", rest)
		}
	})
}
