package batch

import (
	"os"
	"strings"
	"testing"
	"time"
)

// A script that removes the directory of its submission has the exit code that the batch
// system records, and all of its output: the log warns of no full storage.
func TestDirectoryRemoved(t *testing.T) {
	simulate(t, func(t *testing.T, w *simulator) {
		w.onSubmit = func() {
			w.start()
			w.print("all of it\n")
			time.AfterFunc(time.Minute, func() {
				if err := os.RemoveAll(string(w.task.dir())); err != nil {
					t.Error(err)
				}
				w.setExit("3:0")
				w.state("FAILED", "n1", "NonZeroExitCode")
			})
		}
		err, _ := w.run(noStop())
		if got := outcomeOf(err); got != "exit 3" || !strings.Contains(w.log.String(), "all of it\n") || strings.Contains(w.log.String(), "WARNING") {
			t.Errorf("%s (%v)\n%s", got, err, w.log)
		}
	})
}
