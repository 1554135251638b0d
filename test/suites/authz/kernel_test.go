package authz

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
)

// TestOldKernel: where the kernel lacks a call that Jacamar needs, check names the version
// that has it, and a job fails as one of a resource that is not set up.
func TestOldKernel(t *testing.T) {
	t.Parallel()
	s := newSibling(t)
	enter := syscalls.Refusing(t, syscalls.Refusal{Call: unix.SYS_CLOSE_RANGE, Errno: unix.ENOSYS})
	out, status := admin(t, append(enter, s.Admin, "check", "--configuration", s.ConfigFile)...)
	if status == 0 || !strings.Contains(out, "Linux 5.11 or newer is needed") {
		t.Errorf("check: status %d: %s", status, out)
	}
	res := s.RunnerInside(enter...).Run(s.Job("true"))
	site.Want(t, res, fakerunner.SystemFailure, 0, misconfigured)
}
