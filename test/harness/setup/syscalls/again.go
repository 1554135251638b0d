package syscalls

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"
)

// Linux418 is what Linux 4.18 does not have of what programs call: it is the oldest kernel that
// is supported. Calls that were added since have the same numbers on all processors.
func Linux418() []Refusal {
	return []Refusal{
		{Call: unix.SYS_PIDFD_SEND_SIGNAL, Errno: unix.ENOSYS, Above: true}, // the first one of Linux 5.1
		{Call: unix.SYS_WAITID, Errno: unix.EINVAL, Values: []uint32{unix.P_PIDFD}},
		{Call: unix.SYS_MEMFD_CREATE, Errno: unix.EINVAL, Argument: 1, Values: between(unix.MFD_NOEXEC_SEAL, 2*unix.MFD_EXEC-1)},
		{Call: unix.SYS_PRCTL, Errno: unix.EINVAL, Values: append(between(unix.PR_SET_SPECULATION_CTRL+1, 80), unix.PR_SET_VMA)},
		// The kernel ignores what it does not know, and does not set it in the result.
		{Call: unix.SYS_STATX, Errno: unix.ENOSYS, Argument: 3, Values: []uint32{unix.STATX_MNT_ID}},
	}
}

func between(first, last uint32) (all []uint32) {
	for v := first; v <= last; v++ {
		all = append(all, v)
	}
	return all
}

// Again runs those tests of this test program that match an expression, but not t, under a filter in a
// process of its own, and fails for each of the named ones that does not pass there.
func Again(t *testing.T, refusals []Refusal, run string, named ...string) {
	t.Helper()
	argv := append(command(t, refusals), os.Args[0], "-test.v", "-test.run="+run, "-test.skip=^"+t.Name()+"$", "-test.timeout=5m")
	if testing.Short() {
		argv = append(argv, "-test.short")
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	out, err := cmd.CombinedOutput()
	passed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s*--- PASS: (\S+)`).FindAllSubmatch(out, -1) {
		passed[string(m[1])] = true
	}
	failed := err != nil
	for _, name := range named {
		failed = failed || !passed[name]
	}
	if failed {
		t.Errorf("%v, want %q to pass:\n%s", err, named, out)
	}
}
