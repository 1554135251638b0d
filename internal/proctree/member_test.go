package proctree

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/setup/syscalls"
)

func TestMain(m *testing.M) {
	syscalls.Main()
	os.Exit(m.Run())
}

// TestOnLinux418: without descriptors of processes the same ones are found, signalled, spared
// and killed.
func TestOnLinux418(t *testing.T) {
	named := []string{
		"TestDescriptorOrStart", "TestFindAndGone", "TestSignalSparesAStranger", "TestDescendants", "TestWalk", "TestMeetSparesAStranger", "TestHold",
		"TestSignalByStart", "TestKillTree", "TestKillTreeSparesAStranger", "TestKillTreeStopsFirst", "TestEndMarked",
	}
	if os.Geteuid() == 0 {
		named = append(named, "TestHiddenChild")
	}
	syscalls.Again(t, syscalls.Linux418(), "^Test(DescriptorOr|Find|Signal|Desc|Walk|Meet|Hold|KillTree|EndMarked$|Hidden)", named...)
}

// TestDescriptorOrStart: the kernel alone decides which one it is. An error is not taken for
// a kernel without descriptors.
func TestDescriptorOrStart(t *testing.T) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	missing := err != nil
	if missing && !errors.Is(err, unix.ENOSYS) {
		t.Fatal(err)
	}
	unix.Close(fd)
	m, err := Hold(os.Getpid())
	if err != nil || (m.fd == byStart) != missing || (m.Start == 0) == missing {
		t.Errorf("%+v, %v, and the kernel has no descriptors: %v", m, err, missing)
	}
	m.Close()
	if fd, err := open(1 << 21); !missing && err != unix.ESRCH || missing && fd != byStart {
		t.Errorf("a process that is not there: %d, %v", fd, err)
	}
}

// TestHold: a process that is held is recognized until it ends.
func TestHold(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m, err := Hold(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if !m.Alive() || m.PID != cmd.Process.Pid {
		t.Errorf("%+v counts as ended", m)
	}
	in.Close()
	if err := unix.Waitid(unix.P_PID, m.PID, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if m.Alive() {
		t.Error("one that only waits to be waited for counts as alive")
	}
	_ = cmd.Wait()
	if m.Alive() {
		t.Error("an ended process counts as alive")
	}
	if err := m.Signal(unix.SIGTERM); err != nil {
		t.Errorf("signalling an ended process: %v", err)
	}
	if _, err := Hold(m.PID); err == nil {
		t.Error("an ended process was held")
	}
}

// TestSignalByStart: a process of another start is not hit, and counts as ended.
func TestSignalByStart(t *testing.T) {
	cmd := sleeper(t, "sleep", "1000")
	p, _ := Find(cmd.Process.Pid)
	for name, m := range map[string]Member{
		"an earlier process": {p.PID, p.Start - 1, byStart},
		"a later process":    {p.PID, p.Start + 1, byStart},
		"no start":           {p.PID, 0, byStart},
		"no such process":    {1 << 21, p.Start, byStart},
	} {
		if err := m.Signal(unix.SIGKILL); err != nil || p.Gone() || m.Alive() {
			t.Fatalf("%s: %v, alive: %v", name, err, m.Alive())
		}
	}
	m := Member{p.PID, p.Start, byStart}
	if !m.Alive() {
		t.Error("it counts as ended")
	}
	if err := m.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if ws := wait(cmd); ws.Signal() != unix.SIGTERM {
		t.Errorf("ended by %v", ws.Signal())
	}
}
