package operations

import (
	"testing"

	"jacamar-ci/test/harness/site"
)

// TestOnLinux418: on the oldest kernel jacamar-admin lists jobs, stops them and cleans up after them, in
// each deployment.
func TestOnLinux418(t *testing.T) {
	var named []string
	for _, deployment := range []string{"root", "capabilities", "sudo"} {
		named = append(named, "TestStopAccount/"+deployment, "TestReap/"+deployment)
	}
	site.OnLinux418(t, "^(TestStopAccount|TestReap)$", named...)
}
