package batch

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The summary has no duration of a job on whose node the clock was set back, or whose end
// has no time.
func TestClockSetBack(t *testing.T) {
	for name, end := range map[string]string{
		"by an hour":   fmt.Sprintf("end=%d\n", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Hour).Unix()), // a bubble begins in 2000
		"no time":      "",
		"another text": "end=x\n",
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, func(t *testing.T, w *simulator) {
				w.onSubmit = func() {
					w.start()
					w.put(endedFile, "code=0\nsize=0\n"+end)
				}
				if err, _ := w.run(noStop()); err != nil {
					t.Error(err)
				}
				if log := w.log.String(); !strings.Contains(log, "nodes: n1") || strings.Contains(log, "ran: ") {
					t.Errorf("%q", log)
				}
			})
		})
	}
}
