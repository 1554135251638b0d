package dropcheck

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func TestMain(m *testing.M) { os.Exit(testutil.RunNotFavored(m)) }

// own is the account that this process runs as, by its ids.
func own(t *testing.T) job.Account {
	t.Helper()
	groups, err := unix.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	a := job.Account{UID: job.UID(os.Getuid()), GID: job.GID(os.Getgid())}
	for _, g := range groups {
		a.Groups = append(a.Groups, job.GID(g))
	}
	return a
}

func TestVerifyComparesEveryID(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*job.Account)
		want   string
	}{
		{"another user", func(a *job.Account) { a.UID++ }, "user ids are"},
		{"another group", func(a *job.Account) { a.GID++ }, "group ids are"},
		{"a group too many", func(a *job.Account) { a.Groups = append(a.Groups, 4294967294) }, "groups are"},
		{"two groups instead of what there is", func(a *job.Account) { a.Groups = []job.GID{4294967293, 4294967294} }, "groups are"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := own(t)
			c.change(&a)
			if err := Verify(a, true, inherit.Start{}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestVerifyOfAKeptAccountLooksAtTheUserAlone(t *testing.T) {
	a := own(t)
	a.GID, a.Groups = a.GID+1, nil
	if err := Verify(a, false, inherit.Start{}); err != nil {
		t.Error(err)
	}
	a.UID++
	if err := Verify(a, false, inherit.Start{}); err == nil {
		t.Error("another user was accepted")
	}
}

// TestVerifyTriesTheWayBack: root can regain the ids, and an ordinary user cannot.
func TestVerifyTriesTheWayBack(t *testing.T) {
	err := Verify(own(t), true, inherit.Start{})
	switch root := os.Getuid() == 0; {
	case root && (err == nil || !strings.Contains(err.Error(), "root ids can be regained")):
		t.Errorf("as root: %v", err)
	case !root && err != nil:
		t.Error(err)
	}
}

// TestOneCapabilityIsEnoughToRefuse gives a thread of another account one capability
// and nothing else: whichever of root's ids it can regain, it is refused.
func TestOneCapabilityIsEnoughToRefuse(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can keep a capability through a change of account")
	}
	for _, c := range []struct {
		name string
		bits uint32
		want string
	}{
		{"none", 0, ""},
		{"user ids", 1 << unix.CAP_SETUID, "root ids can be regained"},
		{"group ids", 1 << unix.CAP_SETGID, "root ids can be regained"},
		{"another one", 1 << unix.CAP_NET_RAW, "capabilities 0x2000 are left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan error)
			go func() {
				runtime.LockOSThread() // never unlocked: the thread ends with its rights
				if err := become(65534, c.bits); err != nil {
					t.Error(err)
				}
				done <- verifyNoWayBack(job.Account{})
			}()
			if err := <-done; (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// become changes the ids of this thread alone, and leaves it these capabilities.
func become(id uintptr, bits uint32) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	for _, call := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		if _, _, errno := unix.RawSyscall(call, id, id, id); errno != 0 {
			return errno
		}
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: bits, Permitted: bits}}
	return unix.Capset(&head, &data[0])
}
