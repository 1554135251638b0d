// Package e2e runs whole CI jobs through the built programs, in every deployment, and
// checks what the runner, the user and the machine see.
package e2e

import (
	"os"
	"testing"

	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

// everywhere runs a test under every deployment that this process can set up.
func everywhere(t *testing.T, test func(*testing.T, *site.Site), change ...func(site.Config)) {
	t.Helper()
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) { test(t, d.Open(t, change...)) })
	}
}

// privileged runs a test where jacamar-auth changes the account by its own privileges, or
// where it changes none: for behaviour that does not depend on the deployment.
func privileged(t *testing.T, test func(*testing.T, *site.Site), change ...func(site.Config)) {
	t.Helper()
	for _, d := range site.Deployments() {
		if d.Name == "root" || d.Name == "capabilities" || (d.Name == "user" && os.Geteuid() != 0) {
			t.Run(d.Name, func(t *testing.T) { test(t, d.Open(t, change...)) })
		}
	}
}

// quick makes the time limits short enough for tests.
func quick(c site.Config) { c.Set("general", "kill_timeout", "3s") }
