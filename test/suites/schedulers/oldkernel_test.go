package schedulers

import (
	"testing"

	"jacamar-ci/test/harness/site"
)

// TestOnLinux418: on the oldest kernel batch jobs run, are cancelled, and end with a jacamar that is
// killed.
func TestOnLinux418(t *testing.T) {
	site.OnLinux418(t, "^TestScripts$/^fake_pbs$/^no_newline$|^TestCancel$/^fake_pbs$/^running$|^TestKilled$/^fake_pbs$/^jacamar$",
		"TestScripts/fake_pbs/no_newline", "TestCancel/fake_pbs/running", "TestKilled/fake_pbs/jacamar")
}
