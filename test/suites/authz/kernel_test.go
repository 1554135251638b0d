package authz

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
)

// TestOldestKernel: check and a job succeed on Linux 4.18.
func TestOldestKernel(t *testing.T) {
	t.Parallel()
	s := newSibling(t)
	enter := syscalls.Refusing(t, syscalls.Linux418()...)
	_, want := admin(t, s.Admin, "check", "--configuration", s.ConfigFile)
	if out, status := admin(t, append(enter, s.Admin, "check", "--configuration", s.ConfigFile)...); status != want {
		t.Errorf("check: status %d, and %d on this kernel: %s", status, want, out)
	}
	site.Want(t, s.RunnerInside(enter...).Run(s.Job("true")), fakerunner.Success, 0)
}

// TestRefusedByAFilter: where a filter refuses a call that Jacamar needs, check names it, and a job fails as
// one of a resource that is not set up.
func TestRefusedByAFilter(t *testing.T) {
	t.Parallel()
	s := newSibling(t)
	enter := syscalls.Refusing(t, syscalls.Refusal{Call: unix.SYS_CLOSE_RANGE, Errno: unix.EPERM})
	out, status := admin(t, append(enter, s.Admin, "check", "--configuration", s.ConfigFile)...)
	if status == 0 || !strings.Contains(out, "cannot set close-on-exec on the inherited descriptors: operation not permitted") {
		t.Errorf("check: status %d: %s", status, out)
	}
	res := s.RunnerInside(enter...).Run(s.Job("true"))
	site.Want(t, res, fakerunner.SystemFailure, 0, misconfigured)
}
