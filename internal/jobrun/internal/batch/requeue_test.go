package batch

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestRequeued: a job that the batch system puts back into its queue is not left there, and
// its result is the script's own, unless the script was ended for that.
func TestRequeued(t *testing.T) {
	end := func(w *simulator, text string) {
		w.put(endedFile, text)
		time.AfterFunc(200*time.Millisecond, func() { w.state("PENDING", "", "BeginTime") })
	}
	for name, tt := range map[string]struct {
		act       func(w *simulator)
		want      string
		text      string // in the error
		cancelled bool
		within    time.Duration
	}{
		"its script was ended": {func(w *simulator) { end(w, "code=143\nterm=1\nsize=0\n") }, "system", "put job 42 back into its queue", true, 2 * time.Minute},
		"and held": {func(w *simulator) {
			end(w, "code=1\nterm=1\nsize=0\n")
			time.AfterFunc(time.Second, func() { w.state("PENDING", "", "job requeued in held state") })
		}, "system", "put job 42 back into its queue", true, 2 * time.Minute},
		"and started again": {func(w *simulator) {
			end(w, "code=143\nterm=1\nsize=0\n")
			time.AfterFunc(10*time.Second, func() { w.state("RUNNING", "n1", "None") })
			time.AfterFunc(11*time.Second, func() { w.refuseSecondStart() })
		}, "system", "put job 42 back into its queue", false, 2 * time.Minute},
		"its script ended well":        {func(w *simulator) { end(w, "code=0\nterm=1\nsize=0\n") }, "success", "", true, 2 * time.Minute},
		"its script failed by itself":  {func(w *simulator) { end(w, "code=7\nterm=0\nsize=0\n") }, "exit 7", "", true, time.Minute},
		"its wrapper was killed":       {func(w *simulator) { w.state("PENDING", "", "BeginTime") }, "system", "put job 42 back into its queue", true, 15 * time.Minute},
		"no: another command ended it": {func(w *simulator) { w.finish(143, true, "CANCELLED") }, "build", "was cancelled", false, time.Minute},
		"no: the script exits with 75": {func(w *simulator) { w.finish(refusedCode, true, "FAILED") }, "exit 75", "", false, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					time.AfterFunc(time.Minute, w.start)
					time.AfterFunc(2*time.Minute, func() { tt.act(w) })
				}
				err, took := w.run(noStop())
				if got := outcomeOf(err); got != tt.want || tt.text != "" && !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%s (%v), want %s, %q\n%s", got, err, tt.want, tt.text, w.log)
				}
				if _, cancelled := w.called("scancel"); cancelled != tt.cancelled {
					t.Errorf("cancelled: %v", cancelled)
				}
				if took > 2*time.Minute+tt.within {
					t.Errorf("took %v", took)
				}
				if strings.Contains(w.log.String(), "usual reason is a time limit") && tt.want == "system" {
					t.Errorf("the log names a wrong reason:\n%s", w.log)
				}
				if _, err := os.Stat(string(w.task.dir())); err == nil {
					t.Error("files of the submission are left")
				}
			})
		})
	}
}

// A slow controller's state of before the start is not taken for one of after the end.
func TestRequeuedNotByOldState(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() {
			time.AfterFunc(time.Hour, func() {
				w.start()
				for _, p := range []string{"squeue", "scontrol"} {
					w.delay(p, time.Hour)
				}
				w.put(endedFile, "code=143\nterm=1\nsize=0\n")
			})
		}
		err, _ := w.run(noStop())
		if got := outcomeOf(err); got != "exit 143" {
			t.Errorf("%s (%v)\n%s", got, err, w.log)
		}
	})
}

// refuseSecondStart simulates the end of a second start of the wrapper, which refuses it.
func (w *simulator) refuseSecondStart() {
	w.setExit("75:0")
	w.state("FAILED", "n1", "NonZeroExitCode")
}
