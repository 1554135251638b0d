package inherit

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/seccomp"
	"jacamar-ci/test/harness/testutil"
)

func TestMain(m *testing.M) { os.Exit(testutil.RunNotFavored(m)) }

// onThread runs f on a thread that ends with it.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		done <- f()
	}()
	return <-done
}

func named(t *testing.T, name string) Attribute {
	t.Helper()
	for _, a := range List() {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("there is no %q", name)
	return Attribute{}
}

func setScheduler(policy, priority int) error {
	parameters := struct{ priority int32 }{int32(priority)}
	return call(unix.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy), uintptr(unsafe.Pointer(&parameters)))
}

// own is the account of this process.
var own = job.UID(os.Geteuid())

// TestSpoiledIsRefusedAndShedIsNot gives a thread what a service may have, one thing
// at a time: jacamar would refuse to start with it, and does not once it is shed.
func TestSpoiledIsRefusedAndShedIsNot(t *testing.T) {
	for _, c := range []struct {
		attribute, what string
		root            bool
		spoil           func() error
		start           Start
	}{
		{"scheduling policy", "first in, first out", true, func() error { return setScheduler(unix.SCHED_FIFO, 1) }, Start{}},
		{"scheduling policy", "round robin, reset on fork", true, func() error { return setScheduler(unix.SCHED_RR|unix.SCHED_RESET_ON_FORK, 1) }, Start{}},
		{"nice value", "-1", true, func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -1) }, Start{}},
		{"nice value", "-20", true, func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }, Start{}},
		{"I/O priority", "real time", true, func() error { return call(unix.SYS_IOPRIO_SET, ioThisTask, 0, 1<<ioShift|4) }, Start{}},
		{"I/O priority", "first of best effort", false, func() error { return call(unix.SYS_IOPRIO_SET, ioThisTask, 0, 2<<ioShift) }, Start{}},
		{"I/O priority", "third of best effort", false, func() error { return call(unix.SYS_IOPRIO_SET, ioThisTask, 0, 2<<ioShift|3) }, Start{}},
		{"timer slack", "1 ns", false, func() error { return unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }, Start{}},
		{"execution domain", "no random addresses", false, func() error { _, err := personality(0x0040000); return err }, Start{}},
		{"execution domain", "32 bits", false, func() error { _, err := personality(8); return err }, Start{}},
		{"blocked signals", "TERM", false, func() error {
			var set unix.Sigset_t
			set.Val[0] = 1 << (unix.SIGTERM - 1)
			return unix.PthreadSigmask(unix.SIG_BLOCK, &set, nil)
		}, Start{}},
		{"secure bits", "no root", true, func() error { return unix.Prctl(unix.PR_SET_SECUREBITS, 1, 0, 0, 0) }, Start{}},
		{"secure bits", "keep capabilities", true, func() error { return unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0) }, Start{}},
		{"bounding set", "as it is", true, func() error { return nil }, Start{NoBounding: true}},
		{"no_new_privs", "not set", false, func() error { return nil }, Start{NoNewPrivs: true}},
		{"system-call filter", "none", true, func() error { return nil }, Start{Filter: true}},
	} {
		t.Run(c.attribute+": "+c.what, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			a := named(t, c.attribute)
			err := onThread(func() error {
				if err := a.verify(Start{}, own); err != nil {
					return fmt.Errorf("before: %w", err)
				}
				if err := c.spoil(); err != nil {
					return unsettable{err}
				}
				if a.verify(c.start, own) == nil {
					t.Error("it is accepted")
				}
				if err := Verify(c.start, own); err == nil || !strings.Contains(err.Error(), a.Name) {
					t.Errorf("in the list: %v", err)
				}
				start := c.start
				if err := a.shed(&Thread{uid: own}, &start); err != nil {
					return err
				}
				return a.verify(c.start, own)
			})
			if errors.As(err, new(unsettable)) {
				t.Skip(err)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// unsettable is why this machine does not let a test set an attribute: a control group may
// have no time for real-time policies (sched(7)).
type unsettable struct{ error }

func (u unsettable) Error() string { return "cannot set it: " + u.error.Error() }

// TestLessThanALoginStays: what a service gives to be less urgent is its jobs' too.
func TestLessThanALoginStays(t *testing.T) {
	for _, c := range []struct {
		attribute string
		set       func() error
		is        func() (int, error)
		want      int
	}{
		{"nice value", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 0, 7) }, niceValue, 7},
		{"I/O priority", func() error { return call(unix.SYS_IOPRIO_SET, ioThisTask, 0, ioIdle<<ioShift) }, ioPriority, ioIdle << ioShift},
		{"scheduling policy", func() error { return setScheduler(unix.SCHED_IDLE, 0) }, schedulingPolicy, unix.SCHED_IDLE},
		{"scheduling policy", func() error { return setScheduler(unix.SCHED_BATCH, 0) }, schedulingPolicy, unix.SCHED_BATCH},
	} {
		a := named(t, c.attribute)
		err := onThread(func() error {
			if err := c.set(); err != nil {
				return err
			}
			if err := a.shed(&Thread{}, &Start{}); err != nil {
				return err
			}
			if got, err := c.is(); err != nil || got != c.want {
				t.Errorf("%s: %d %v, want %d", c.attribute, got, err, c.want)
			}
			return a.verify(Start{}, own)
		})
		if err != nil {
			t.Errorf("%s: %v", c.attribute, err)
		}
	}
}

func TestRealTime(t *testing.T) {
	for policy, want := range map[int]bool{
		unix.SCHED_NORMAL: false, unix.SCHED_BATCH: false, unix.SCHED_IDLE: false, unix.SCHED_FIFO: true, unix.SCHED_RR: true, unix.SCHED_DEADLINE: true,
		unix.SCHED_FIFO | unix.SCHED_RESET_ON_FORK: true, unix.SCHED_NORMAL | unix.SCHED_RESET_ON_FORK: false,
	} {
		if realTime(policy) != want {
			t.Errorf("policy %#x: %v", policy, !want)
		}
	}
}

// TestPAMDecidesBehindSudo: a session may give an account another nice value.
func TestPAMDecidesBehindSudo(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a thread less nice")
	}
	err := onThread(func() error {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -5); err != nil {
			return err
		}
		if verifyNice(Start{}, own) == nil {
			t.Error("without sudo it is accepted")
		}
		return verifyNice(Start{Sudo: true}, own)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSecureBitsThatStay: without CAP_SETPCAP they cannot be cleared, and no job
// runs with them, but where no program gains a privilege.
func TestSecureBitsThatStay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it sets secure bits")
	}
	for _, flag := range []bool{false, true} {
		start := Start{NoNewPrivs: flag}
		err := onThread(func() error {
			if err := unix.Prctl(unix.PR_SET_SECUREBITS, 1, 0, 0, 0); err != nil {
				return err
			}
			if err := giveUp(unix.CAP_SETPCAP); err != nil {
				return err
			}
			if err := clearSecureBits(nil, &start); (err == nil) != flag {
				t.Errorf("no_new_privs %v: to clear them: %v", flag, err)
			}
			if err := verifySecureBits(start, own); (err == nil) != flag {
				t.Errorf("no_new_privs %v: %v", flag, err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// giveUp takes a capability from the thread.
func giveUp(bit uint) error {
	data, err := capability.ThreadSets()
	if err != nil {
		return err
	}
	for _, set := range []*uint32{&data[0].Effective, &data[0].Permitted, &data[0].Inheritable} {
		*set &^= 1 << bit
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capset(&head, &data[0])
}

// TestAmbientCapabilitiesAreGone starts from a process that has some, as a
// service with AmbientCapabilities= has.
func TestAmbientCapabilitiesAreGone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it raises capabilities")
	}
	err := onThread(func() error {
		data, err := capability.ThreadSets()
		if err != nil {
			return err
		}
		data[0].Inheritable |= 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		if err := unix.Capset(&head, &data[0]); err != nil {
			return err
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, unix.CAP_SETUID, 0, 0); err != nil {
			return err
		}
		if err := dropInheritable(nil, nil); err != nil {
			return err
		}
		left, err := capability.ThreadSets()
		if err != nil || left[0].Inheritable != 0 || left[0].Effective != data[0].Effective {
			t.Errorf("%+v %v", left, err)
		}
		if set, err := unix.PrctlRetInt(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_IS_SET, unix.CAP_SETUID, 0, 0); err != nil || set != 0 {
			t.Errorf("ambient: %d %v", set, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Only where dropping and reading agree is a capability one that the kernel does
// not know; the first is known to all of them.
func TestBeyond(t *testing.T) {
	for _, tt := range []struct {
		c          uintptr
		drop, read error
		want       bool
	}{
		{41, unix.EINVAL, unix.EINVAL, true},
		{1, unix.EINVAL, unix.EINVAL, true},
		{0, unix.EINVAL, unix.EINVAL, false},
		{41, unix.EINVAL, nil, false},
		{41, nil, unix.EINVAL, false},
		{41, unix.EPERM, unix.EINVAL, false},
		{41, nil, nil, false},
	} {
		if got := beyond(tt.c, tt.drop, tt.read); got != tt.want {
			t.Errorf("beyond(%d, %v, %v) is %v", tt.c, tt.drop, tt.read, got)
		}
	}
}

// TestNothingIsPromisedThatWasNotAsked: flag, filter and bounding set stay.
func TestNothingIsPromisedThatWasNotAsked(t *testing.T) {
	before, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := NewThread().Run(func(th *Thread) (int, error) {
		start, err := th.Shed(Start{}, own)
		if err != nil {
			return 0, err
		}
		start.LoginUID = false
		if start != (Start{}) {
			t.Errorf("%+v", start)
		}
		after, err := os.ReadFile("/proc/thread-self/status")
		for _, name := range []string{"CapBnd", "NoNewPrivs", "Seccomp"} {
			if a, b := line(before, name), line(after, name); a != b {
				t.Errorf("%q was %q", b, a)
			}
		}
		return 7, err
	})
	if err != nil || pid != 7 {
		t.Error(pid, err)
	}
}

func line(text []byte, name string) string {
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\n")
	return name + value
}

// TestShedIsWholeAndVerified: what the list sheds, jacamar finds shed.
func TestShedIsWholeAndVerified(t *testing.T) {
	_, err := NewThread().Run(func(th *Thread) (int, error) {
		start := Start{NoNewPrivs: true, Filter: true, NoBounding: os.Geteuid() == 0}
		start, err := th.Shed(start, own)
		if err != nil {
			return 0, err
		}
		return 0, Verify(start, own)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestThreadRunsOnce: a second program is started from another thread.
func TestThreadRunsOnce(t *testing.T) {
	th := NewThread()
	seen := map[*Thread]bool{}
	for range 3 {
		if _, err := th.Run(func(t *Thread) (int, error) { seen[t] = true; return 0, seccomp.NoNewPrivs() }); err != nil {
			t.Error(err)
		}
	}
	if _, err := (*Thread)(nil).Run(func(t *Thread) (int, error) { seen[t] = true; return 0, unix.EIO }); err != unix.EIO {
		t.Error(err)
	}
	if len(seen) != 4 || !seen[th] {
		t.Errorf("%d threads", len(seen))
	}
	if set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err != nil || set != 0 {
		t.Errorf("this thread has it too: %d %v", set, err)
	}
}

// TestTheListIsSound.
func TestTheListIsSound(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range List() {
		if seen[a.Name] || a.Name == "" || a.Job == "" {
			t.Errorf("%q", a.Name)
		}
		seen[a.Name] = true
		switch a.By {
		case Kernel:
			if a.shed != nil || a.settle != nil || a.verify != nil || a.Differs != "" {
				t.Errorf("%q is the kernel's and something is done about it", a.Name)
			}
		case Service:
			if a.shed != nil || a.settle != nil || a.Differs == "" && !strings.Contains(a.Job, "no terminal") {
				t.Errorf("%q is the service's, and its difference is not explained", a.Name)
			}
		case Starter:
			if a.verify == nil && a.Name != "signal actions" {
				t.Errorf("%q is not verified", a.Name)
			}
		case Jacamar:
		default:
			t.Errorf("%q is by %q", a.Name, a.By)
		}
	}
}
