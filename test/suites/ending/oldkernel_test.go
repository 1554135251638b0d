package ending

import (
	"os"
	"testing"

	"jacamar-ci/test/harness/site"
)

// TestOnLinux418: on the oldest kernel the cleanup ends what both programs left, which it finds
// and signals by its start.
func TestOnLinux418(t *testing.T) {
	deployment := "no-auth"
	if os.Geteuid() == 0 {
		deployment = "sudo"
	}
	site.OnLinux418(t, "^TestBothProgramsAreKilled$/^"+deployment+"$", "TestBothProgramsAreKilled/"+deployment)
}
