package journal

import (
	"testing"
	"time"

	"jacamar-ci/test/harness/testutil"
)

// TestExpiredMarksEnd: a new mark removes those that are not in force any more, as nothing
// else removes that of an account which no longer exists.
func TestExpiredMarksEnd(t *testing.T) {
	_, p := open(t)
	marks := map[MarkName]struct {
		until int64
		stays bool
	}{
		DrainAccount(1): {start.Add(-48 * time.Hour).Unix(), false},
		StopAccount(2):  {start.Add(-48 * time.Hour).Unix(), false},
		StopJob(3):      {start.Add(-time.Hour).Unix(), true}, // its last stages may still begin
		DrainProject(4): {start.Add(time.Hour).Unix(), true},
		DrainAccount(5): {0, true},
	}
	for name, m := range marks {
		testutil.Must(t, SetMark(p, name, Mark{Until: m.until, Made: start.Add(-72 * time.Hour).Unix()}))
	}
	testutil.Must(t, SetMark(p, Drain, Mark{Made: start.Unix()}))
	for name, m := range marks {
		if _, ok, err := GetMark(p, name); ok != m.stays || err != nil {
			t.Errorf("%s: %v, %v, want %v", name, ok, err, m.stays)
		}
	}
}
