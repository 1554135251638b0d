package monitor

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/setup/syscalls"
)

// TestMain runs each scenario in a process of its own: a process is heir of its
// descendants permanently, and only one of its parts can wait for them.
func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv("MONITOR_SCENARIO"); ok {
		scenarios[name]()
		os.Exit(0)
	}
	syscalls.Main()
	os.Exit(m.Run())
}

// TestOnLinux418: what a job leaves is ended, and the jacamar below a sudo recognized, without
// descriptors of processes.
func TestOnLinux418(t *testing.T) {
	named := []string{"TestTargets", "TestLooks", "TestTreeIsEnded", "TestChainIsEnded", "TestCometsAreEnded", "TestAccountEndsWhatThisProcessMayNot", "TestCannotBeEnded"}
	syscalls.Again(t, syscalls.Linux418(), "^("+strings.Join(named, "|")+")$", named...)
}

var scenarios = map[string]func(){
	"a tree":            aTree,
	"a chain":           aChain,
	"comets":            comets,
	"no child":          noChild,
	"by the account":    byTheAccount,
	"account fails":     accountFails,
	"account is slow":   accountIsSlow,
	"account is closed": accountIsClosed,
	"a stopped child":   stoppedChild,
	"a request":         request,
	"cannot end":        cannotEnd,
	"one reap":          oneReap,
	"a starter":         aStarter,
	"one round":         oneRound,
	"earlier children":  earlierChildren,
	"a round as others": aRoundAsOthers,

	"well":                   well,
	"stays after its result": staysAfterItsResult,
	"closes its socket":      closesItsSocket,
	"asked":                  asked,
	"heeds":                  heeds,
	"runner goes":            runnerGoes,
	"dies early":             diesEarly,
	"is killed":              isKilled,
	"crashes":                crashes,
	"is crowded early":       isCrowdedEarly,
	"has a slow reader":      hasASlowReader,
	"cannot be ended":        cannotBeEnded,
}

func expect(t *testing.T, name, want string) {
	t.Helper()
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MONITOR_SCENARIO="+name)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != want {
		t.Errorf("%v, and it printed\n%swant\n%s", err, out, want)
	}
}

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func ready() *Monitor {
	m := &Monitor{}
	check(m.Ready())
	return m
}

// started starts a shell that prints a line, and reads it. The shell has a session
// of its own, as jacamar has.
func started(script string) *Child {
	cmd := exec.Command("/usr/bin/setsid", "/bin/bash", "-c", script)
	out, err := cmd.StdoutPipe()
	check(err)
	check(cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "ready\n" {
		check(fmt.Errorf("the shell printed %q (%v)", line, err))
	}
	return &Child{PID: cmd.Process.Pid}
}

// soon is enough for any of these on a busy machine.
const soon = 20 * time.Second

func aTree() {
	m := ready()
	c := started("trap '' TERM HUP; sleep 1000 & setsid sleep 1001 & (setsid sh -c 'sleep 1002 & sleep 1003' &); sleep 0.1; echo ready; wait")
	e := m.ending(c, exitDeadline{})
	left := e.run(soon, soon)
	fmt.Println(len(left), len(proctree.Own()), e.status.Signal())
}

func TestTreeIsEnded(t *testing.T) { expect(t, "a tree", "0 0 killed\n") }

// aChain is of processes that each start the next one, in a session of its own.
func aChain() {
	m := ready()
	c := started(`f() { if [ $1 = 0 ]; then echo ready; sleep 1000; else (f $(($1 - 1))); fi; :; }; f 60; sleep 1001`)
	fmt.Println(len(m.ending(c, exitDeadline{}).run(soon, soon)), len(proctree.Own()))
}

func TestChainIsEnded(t *testing.T) { expect(t, "a chain", "0 0\n") }

func comets() {
	m := ready()
	c := started(`f() { setsid bash -c "$body" & }; export body='(eval "$body") & exit'; for i in 1 2 3 4; do (bash -c "$body" &); done; echo ready; sleep 1000`)
	fmt.Println(len(m.ending(c, exitDeadline{}).run(soon, soon)), len(proctree.Own()))
}

func TestCometsAreEnded(t *testing.T) { expect(t, "comets", "0 0\n") }

// earlierChildren are those of a shell that was replaced by this program. One that ends
// gives its pid back, which a process of the job may get.
func earlierChildren() {
	var inherited []*exec.Cmd
	for _, command := range []string{"cat", "read x"} {
		cmd := exec.Command("/bin/bash", "-c", command)
		_, err := cmd.StdinPipe()
		check(errors.Join(err, cmd.Start()))
		inherited = append(inherited, cmd)
	}
	m := ready()
	c := started("(setsid sleep 1000 &); echo ready; sleep 1000")
	ended := inherited[1].Process.Pid
	check(unix.Kill(ended, unix.SIGKILL))
	var info unix.Siginfo
	check(unix.Waitid(unix.P_PID, ended, &info, unix.WEXITED|unix.WNOWAIT, nil))
	left := m.ending(c, exitDeadline{}).run(soon, soon)
	fmt.Println(len(left), slices.Equal(proctree.Own(), []int{inherited[0].Process.Pid}), slices.Contains(m.before, ended))
	check(unix.Kill(inherited[0].Process.Pid, unix.SIGKILL))
}

func TestEarlierChildrenAreSpared(t *testing.T) { expect(t, "earlier children", "0 true false\n") }

func noChild() {
	m := ready()
	begun := time.Now()
	left := m.ending(&Child{PID: 1}, exitDeadline{}).run(time.Hour, time.Hour)
	fmt.Println(len(left), time.Since(begun) < 10*time.Second)
}

func TestNoChildTakesNoTime(t *testing.T) { expect(t, "no child", "0 true\n") }

// stub is an account without the rights of one: it kills by a way that is not open
// to the ending.
type stub struct {
	err    error
	asked  [][]int
	closed int
	child  *Child
}

func (s *stub) Kill(c ipc.Condemned) error {
	s.asked = append(s.asked, c.PIDs)
	if s.err == nil {
		proctree.KillAll(c.PIDs, c.Below)
	}
	return s.err
}

func (s *stub) Starter() int {
	if s.child == nil {
		return 0
	}
	return s.child.PID
}

func (s *stub) Close() *Child { s.closed++; return s.child }

// denied makes an ending that may not signal anything itself.
func (m *Monitor) denied(c *Child) *ending {
	if m.Account == nil {
		m.Account = func() (Account, error) { return nil, errors.New("no account") }
	}
	e := m.ending(c, exitDeadline{})
	e.may = func(int) bool { return false }
	return e
}

func byTheAccount() {
	m, s := ready(), &stub{}
	m.Account = func() (Account, error) { return s, nil }
	c := started("setsid sleep 1000 & sleep 0.1; echo ready; wait")
	left := m.denied(c).run(soon, soon)
	fmt.Println(len(left), len(proctree.Own()), len(s.asked) >= 1, s.asked[0][0] == c.PID, s.closed)
}

func TestAccountEndsWhatThisProcessMayNot(t *testing.T) {
	expect(t, "by the account", "0 0 true true 1\n")
}

func accountFails() {
	m, s, begun := ready(), &stub{err: errors.New("out")}, 0
	m.Account = func() (Account, error) {
		if begun++; begun == 1 {
			return nil, errors.New("no start")
		}
		return s, nil
	}
	c := started("echo ready; exec sleep 1000")
	e := m.denied(c)
	left := e.run(300*time.Millisecond, soon)
	fmt.Println(len(left), left[0].PID == c.PID, left[0].Name, begun, s.closed, e.err)
	_ = unix.Kill(c.PID, unix.SIGKILL)
}

func TestAccountIsTriedAFewTimes(t *testing.T) {
	expect(t, "account fails", "1 true sleep 3 2 out\n")
}

// accountIsSlow has an account that takes longer than the limit to begin, and for its first
// answer, as on a host where hundreds of other processes run.
func accountIsSlow() {
	const limit = 100 * time.Millisecond
	m, begun := ready(), 0
	m.Account = func() (Account, error) {
		begun++
		time.Sleep(2 * limit)
		if begun == 1 {
			return nil, errors.New("no start")
		}
		return slowStub{&stub{}, 2 * limit}, nil
	}
	c := started("setsid sleep 1000 & sleep 0.1; echo ready; wait")
	fmt.Println(len(m.denied(c).run(limit, soon)), len(proctree.Own()), begun)
}

type slowStub struct {
	*stub
	by time.Duration
}

func (s slowStub) Kill(c ipc.Condemned) error {
	time.Sleep(s.by)
	return s.stub.Kill(c)
}

func TestSlowAccountIsAwaited(t *testing.T) { expect(t, "account is slow", "0 0 2\n") }

// accountIsClosed has an account whose own process is left by itself while it is in
// use, and is ended like any other afterwards.
func accountIsClosed() {
	m := ready()
	var means *Child
	m.Account = func() (Account, error) {
		means = started("echo ready; exec sleep 1001")
		return &stub{child: means}, nil
	}
	c := started("echo ready; exec sleep 1000")
	e := m.denied(c)
	var last []int
	e.may = func(pid int) bool {
		last = append(last, pid)
		return means != nil && pid == means.PID
	}
	left := e.run(soon, soon)
	fmt.Println(len(left), last[0] == c.PID, last[len(last)-1] == means.PID, len(e.started))
}

func TestMeansAreEndedLast(t *testing.T) { expect(t, "account is closed", "0 true true 0\n") }

// stoppedChild is one that ends by itself once it is continued.
func stoppedChild() {
	m := ready()
	c := started("echo ready; kill -STOP $$; exit 5")
	for stopped := false; !stopped; {
		stopped = proctree.Look(c.PID).State == 'T'
	}
	e := m.denied(c)
	fmt.Println(len(e.run(soon, soon)), e.status.ExitStatus())
}

func TestStoppedChildIsContinued(t *testing.T) { expect(t, "a stopped child", "0 5\n") }

func request() {
	m := ready()
	c := started("echo ready; exec sleep 1000")
	e := m.denied(c)
	m.stop <- unix.SIGTERM
	left := e.run(200*time.Millisecond, soon)
	fmt.Println(len(left), e.exit.stopped)
	_ = unix.Kill(c.PID, unix.SIGKILL)
}

func TestRequestIsHeededMeanwhile(t *testing.T) { expect(t, "a request", "1 true\n") }

func cannotEnd() {
	m := ready()
	c := started("echo ready; exec sleep 1000")
	begun := time.Now()
	left := m.denied(c).run(200*time.Millisecond, soon)
	took := time.Since(begun)
	fmt.Println(left[0].PID == c.PID, took >= 200*time.Millisecond, took < 10*time.Second)
	_ = unix.Kill(c.PID, unix.SIGKILL)
}

func TestWhatIsLeftIsReportedInTime(t *testing.T) { expect(t, "cannot end", "true true true\n") }

// TestTargets: below a sudo it is jacamar that the account ends, while it lives; what
// has not sent its hello can be jacamar itself.
func TestTargets(t *testing.T) {
	alive, err := proctree.Hold(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dead := &Child{PID: 20}
	dead.meet(ipc.Hello{PID: cmd.Process.Pid})
	if !dead.jacamar.alive() {
		t.Error("a live process counts as ended")
	}
	in.Close()
	_ = cmd.Wait()
	gone := &Child{PID: 21}
	gone.meet(ipc.Hello{PID: cmd.Process.Pid})
	e := &ending{started: map[int]*Child{
		10: {PID: 10, jacamar: &jacamar{pid: 11, held: &alive}},
		12: {PID: 12, jacamar: &jacamar{pid: 12, held: &alive}},
		13: {PID: 13},
		20: dead,
		21: gone,
	}}
	if got := fmt.Sprint(e.targets([]int{10, 12, 13, 14, 20, 21})); got != "[11 12 13 14]" {
		t.Errorf("%s", got)
	}
	if got := e.targets(nil); got != nil {
		t.Errorf("%v", got)
	}
}

func TestEnded(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if ended(cmd.Process.Pid) {
		t.Error("a live process counts as ended")
	}
	in.Close()
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !ended(cmd.Process.Pid) {
			t.Error("one that has ended does not count so, or was waited for")
		}
	}
	_ = cmd.Wait()
	if !ended(cmd.Process.Pid) {
		t.Error("one that is no child counts as alive")
	}
}
