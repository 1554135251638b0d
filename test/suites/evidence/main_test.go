// Package evidence tests, through the built programs and real log services, who
// can write the operator's log, and who can keep records out of it.
//
// As root the whole suite runs in a mount namespace of its own, with the test's own
// /dev/log.
package evidence

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// inside is set in the process that has the namespace.
const inside = "JACAMAR_TEST_EVIDENCE_INSIDE"

func TestMain(m *testing.M) {
	if os.Geteuid() == 0 && os.Getenv(inside) == "" {
		self, err := os.Executable()
		if err == nil {
			argv := append([]string{"unshare", "--mount", "--propagation", "private", self}, os.Args[1:]...)
			err = syscall.Exec("/usr/bin/unshare", argv, append(os.Environ(), inside+"=1"))
		}
		fmt.Fprintln(os.Stderr, "evidence: cannot make a mount namespace:", err)
		os.Exit(1)
	}
	os.Exit(site.Main(m))
}

// rootOnly skips where this process has no namespace of its own.
func rootOnly(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with /dev/log, and sends as several accounts")
	}
}

// devLog makes /dev/log a link to a socket. The other devices are those that
// programs use.
func devLog(t *testing.T, target string) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout", "stderr"} {
		if out, err := exec.Command("cp", "-a", "/dev/"+name, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.Symlink(target, filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(dir, "/dev", "", unix.MS_MOVE, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount("/dev", unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// deployments are those whose runner is not the job's own account.
func deployments(t *testing.T, test func(*testing.T, *site.Site), change ...func(site.Config)) {
	t.Helper()
	for _, d := range site.Deployments() {
		if d.Changes {
			t.Run(d.Name, func(t *testing.T) { test(t, d.Open(t, change...)) })
		}
	}
}

// located sends the log to a destination.
func located(place string) func(site.Config) {
	return func(c site.Config) { c.Set("auth", "logging", site.Table{"location": place}) }
}

// runPassing runs a job, which must succeed.
func runPassing(t *testing.T, s *site.Site, script ...string) (fakerunner.Job, fakerunner.Result) {
	t.Helper()
	j := s.Job(script...)
	r := s.Runner().Run(j)
	if r.Outcome != fakerunner.Success {
		t.Fatalf("the job ended as %s:\n%s", r.Outcome, r.Trace)
	}
	return j, r
}

// as runs a command as an account, without a job. It must succeed.
func as(t *testing.T, name string, argv ...string) {
	t.Helper()
	if out, err := try(t, name, argv...); err != nil {
		t.Fatalf("%q as %s: %v: %s", argv, name, err, out)
	}
}

// try is as for a command that may fail.
func try(t *testing.T, name string, argv ...string) ([]byte, error) {
	t.Helper()
	account, err := site.LookupAccount(name)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: account.UID, Gid: account.GID, Groups: account.Groups}}
	return cmd.CombinedOutput()
}

// forged are lines like records, with the number of a job that does not exist.
const forged = `{"account":"root","call":"1.1","call_seq":1,"decision":"allow","event":"decision","job":666,"login":"mallory","seq":1,"uid":0}`

// keeperUID is the account that owns the state, and with it the log.
func keeperUID(s *site.Site) uint32 {
	if a := s.StateOwner(); a != nil {
		return a.UID
	}
	return serviceUID(s)
}

// serviceUID is the account that runs jacamar-auth.
func serviceUID(s *site.Site) uint32 {
	if a := s.Service(); a != nil {
		return a.UID
	}
	return uint32(os.Geteuid())
}
