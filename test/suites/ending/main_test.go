// Package ending runs whole jobs through the built programs and has their processes
// die, stop, hide and refuse to end. Whatever they do, nothing of a job is left and
// no stage is held up; what cannot be ended is reported.
package ending

import (
	"os"
	"testing"

	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }
