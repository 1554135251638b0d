// Package ending runs whole jobs through the built programs, with processes that are
// killed or stopped, hide, or do not end. In every case no process of a job is left and no
// stage is delayed; processes that cannot be ended are reported.
package ending

import (
	"os"
	"testing"

	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }
