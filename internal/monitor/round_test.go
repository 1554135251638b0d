package monitor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
)

// awaitEnd waits for the end of children, which stay to be reaped.
func awaitEnd(pids ...int) {
	for _, pid := range pids {
		check(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil))
	}
}

// oneReap: a child that was killed is remembered, also when others end by themselves.
func oneReap() {
	m := ready()
	spawn := func(script string) int {
		cmd := exec.Command("/bin/bash", "-c", script)
		check(cmd.Start())
		return cmd.Process.Pid
	}
	first := spawn("exit 3")
	awaitEnd(first)
	e := m.ending(&Child{PID: first}, exitDeadline{})
	e.reap()
	fmt.Println(e.killed, e.status.ExitStatus(), e.used.Peak > 0)
	killed := spawn("kill -KILL $$")
	awaitEnd(killed)
	ended := spawn("exit 4")
	awaitEnd(ended)
	e.reap()
	e.reap()
	fmt.Println(e.killed, e.status.ExitStatus(), len(proctree.Own()))
}

func TestReapRemembersAKill(t *testing.T) { expect(t, "one reap", "false 3 true\ntrue 3 0\n") }

// aStarter: the process that the account needs is not one to end.
func aStarter() {
	m := ready()
	one, other := started("echo ready; exec sleep 1000"), started("echo ready; exec sleep 1000")
	e := m.ending(one, exitDeadline{})
	fmt.Println(len(e.kids()))
	e.account = &stub{child: other}
	kids := e.kids()
	fmt.Println(len(kids), kids[0] == one.PID)
	proctree.KillAll([]int{one.PID, other.PID}, false)
}

func TestStarterIsNoneOfTheKids(t *testing.T) { expect(t, "a starter", "2\n1 true\n") }

// oneRound: a round kills the children, and what is below them when it is time for that.
func oneRound() {
	m := ready()
	for _, tree := range []bool{false, true} {
		c := started("setsid bash -c 'echo ready; exec sleep 1000' & wait")
		below := proctree.Children(c.PID)
		e := m.ending(c, exitDeadline{})
		next := time.Now().Add(time.Hour)
		if tree {
			next = time.Time{}
		}
		e.nextLook = next
		e.kill([]int{c.PID})
		awaitEnd(c.PID)
		e.reap()
		left := proctree.Own() // it has become this process's
		if tree {
			awaitEnd(left...)
		}
		e.reap()
		fmt.Println(len(below), len(proctree.Own()), e.nextLook.Equal(next))
		e.run(soon, soon)
	}
}

func TestRound(t *testing.T) { expect(t, "one round", "1 1 true\n1 0 false\n") }

// aRoundAsOthers: the account is given what this process may not end, with a sudo itself
// only for what is below it.
func aRoundAsOthers() {
	m, s := ready(), &stub{err: errors.New("out")}
	m.Account = func() (Account, error) { return s, nil }
	c := started("echo ready; exec sleep 1000")
	e := m.denied(c)
	e.killAsAccount([]int{c.PID}, false)
	e.killAsAccount([]int{c.PID}, true)
	fmt.Println(len(s.asked[0]), len(s.asked[1]))
	e.asAccount(ipc.Condemned{})
	fmt.Println(len(s.asked), e.begun)
	e.m.Account = nil
	e.asAccount(ipc.Condemned{PIDs: []int{c.PID}})
	fmt.Println(len(s.asked))
	proctree.KillAll([]int{c.PID}, false)
}

func TestRoundAsTheAccount(t *testing.T) { expect(t, "a round as others", "1 2\n2 2\n2\n") }

// TestLooks: the jacamar below a sudo is shown too, while it lives.
func TestLooks(t *testing.T) {
	alive, err := proctree.Hold(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, err := proctree.Hold(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer ended.Close()
	_ = cmd.Wait()
	e := &ending{started: map[int]*Child{
		10: {PID: 10, jacamar: &jacamar{pid: 11, held: &alive}},
		12: {PID: 12, jacamar: &jacamar{pid: 12, held: &alive}},
		13: {PID: 13},
		20: {PID: 20, jacamar: &jacamar{pid: 21, held: &ended}},
	}}
	var pids []string
	for _, s := range e.looks([]int{10, 12, 13, 14, 20}) {
		pids = append(pids, fmt.Sprint(s.PID))
	}
	if got := strings.Join(pids, " "); got != "10 11 12 13 14 20" {
		t.Errorf("%s", got)
	}
}

func TestMayKill(t *testing.T) {
	if !mayKill(os.Getpid()) {
		t.Error("this process may not signal itself")
	}
	if os.Geteuid() != 0 {
		if mayKill(1) {
			t.Error("an ordinary account may signal the first process")
		}
		return
	}
	done := make(chan bool)
	go func() {
		runtime.LockOSThread() // the thread ends with its ids
		_, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534)
		done <- errno != 0 || mayKill(os.Getppid())
	}()
	if <-done {
		t.Error("an account signalled a process of root")
	}
}

// TestLimit: a read that nothing answers ends.
func TestLimit(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	c := &Child{Socket: os.NewFile(uintptr(pair[0]), "socket")}
	if err := c.limit(10 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	err = unix.EINTR // a limit makes the call end at any signal (signal(7))
	for errors.Is(err, unix.EINTR) {
		_, err = unix.Read(pair[0], make([]byte, 1))
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Errorf("%v, want that the time is over", err)
	}
	c.Socket.Close()
	if err := c.limit(time.Second); err == nil {
		t.Error("a closed socket was limited")
	}
}
