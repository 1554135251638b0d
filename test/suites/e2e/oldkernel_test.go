package e2e

import (
	"os"
	"testing"

	"jacamar-ci/test/harness/site"
)

// TestOnLinux418: on the oldest kernel jobs run, end as they are asked to, and leave nothing, in every
// deployment.
func TestOnLinux418(t *testing.T) {
	run := "^TestScenarios$/^(user|no-auth)$/^succeeds$"
	named := []string{"TestScenarios/no-auth/succeeds"}
	if os.Geteuid() == 0 {
		for _, deployment := range []string{"root", "capabilities", "sudo"} {
			for _, scenario := range []string{"succeeds", "is_cancelled", "jacamar_is_killed", "the_driver_is_killed"} {
				named = append(named, "TestScenarios/"+deployment+"/"+scenario)
			}
		}
		named = append(named, "TestStoppedJacamarDoesNotBlockStage/sudo")
		run += "|^TestScenarios$/^(root|capabilities|sudo)$/^(succeeds|is_cancelled|jacamar_is_killed|the_driver_is_killed)$|^TestStoppedJacamarDoesNotBlockStage$/^sudo$"
	}
	site.OnLinux418(t, run, named...)
}
