package journal

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/testutil"
)

// TestCheck: a journal is without a fault, also an empty one and one with files that are
// none of jobs; each file that a stage cannot use is named, up to maxFaults.
func TestCheck(t *testing.T) {
	j, p := open(t)
	at := func(names ...string) string {
		return filepath.Join(append([]string{p.String(), "login1"}, names...)...)
	}
	testutil.Must(t, j.Check())
	if left, err := os.ReadDir(at(dayDir)); err == nil && len(left) > 0 {
		t.Errorf("it created %v", left)
	}
	testutil.Must(t, os.WriteFile(at(liveDir, "notes"), nil, 0o666), os.WriteFile(at(liveDir, "1.2.3"), nil, 0o640), j.Check())
	bad := []string{at(admissionFile), at(dayDir, dayFile(time.Now())), at(liveDir, "1.2.4"), at(waitDir, "1.2.5"), at(waitDir, "1.2.6")}
	for n, file := range bad {
		testutil.Must(t, os.MkdirAll(file, 0o700))
		err := j.Check()
		if err == nil {
			t.Fatalf("%s is accepted", file)
		}
		for i, f := range bad[:n+1] {
			if named := strings.Contains(err.Error(), "cannot open "+f+": is a directory"); named != (i < maxFaults) {
				t.Errorf("%d faults: %v", n+1, err)
			}
		}
		if more := strings.HasSuffix(err.Error(), "; and 2 more"); more != (n+1 == maxFaults+2) {
			t.Errorf("%d faults: %v", n+1, err)
		}
	}
}
