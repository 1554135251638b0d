package proctree

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shell starts a shell that prints a line, and returns it with the line. It and all
// that has its session are killed when the test ends.
func shell(t *testing.T, script string, attr *syscall.SysProcAttr) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command("/bin/bash", "-c", script)
	cmd.SysProcAttr = attr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

var ownSessionOf = &syscall.SysProcAttr{Setsid: true}

func TestKillReachesTheGroup(t *testing.T) {
	// Job control (-m) gives what is in the background a group of its own.
	cmd, line := shell(t, `set -m; sleep 1000 & echo $!; set +m; sleep 1001; :`, ownSessionOf)
	var other int
	if _, err := fmt.Sscan(line, &other); err != nil {
		t.Fatal(err)
	}
	same := Children(cmd.Process.Pid)
	for len(same) < 2 { // until the second sleep is there
		same = Children(cmd.Process.Pid)
	}
	if err := Kill(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for _, pid := range same {
		p, alive := Find(pid)
		gone := !alive || p.Gone()
		for end := time.Now().Add(time.Minute); pid != other && !gone && time.Now().Before(end); gone = p.Gone() {
		}
		if gone != (pid != other) {
			t.Errorf("%d: gone is %v, and %d has another group", pid, gone, other)
		}
	}
	_ = unix.Kill(other, unix.SIGKILL)
}

// TestKillSparesTheOwnSession: a child in this session may be in the group of others.
func TestKillSparesTheOwnSession(t *testing.T) {
	one, _ := shell(t, "echo; exec sleep 1000", &syscall.SysProcAttr{Setpgid: true})
	other, _ := shell(t, "echo; exec sleep 1000", &syscall.SysProcAttr{Setpgid: true, Pgid: one.Process.Pid})
	if err := Kill(one.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if ws := wait(one); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws.Signal())
	}
	if err := unix.Kill(other.Process.Pid, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if ws := wait(other); ws.Signal() != unix.SIGTERM {
		t.Errorf("another process of the group was ended by %v", ws.Signal())
	}
}

func TestKillOfNoProcess(t *testing.T) {
	for _, pid := range []int{-1, 0, 1} {
		if err := Kill(pid); err != unix.EINVAL {
			t.Errorf("%d: %v", pid, err)
		}
	}
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if err := Kill(cmd.Process.Pid); err != nil {
		t.Errorf("one that has ended: %v", err)
	}
	if os.Geteuid() != 0 {
		return
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with its ids
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			done <- errno
			return
		}
		done <- Kill(os.Getppid())
	}()
	if err := <-done; err != unix.EPERM {
		t.Errorf("another account's process: %v", err)
	}
}

// TestWalk visits each of a tree once, parents first, also what was left by its
// parent, and no other process.
func TestWalk(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	cmd, line := shell(t, `orphan=$(setsid sh -c 'sleep 1000 >/dev/null & echo $!'); (sleep 1001 & wait; exec sleep 1002) & echo $orphan $!; wait`, nil)
	var orphan, child int
	if _, err := fmt.Sscan(line, &orphan, &child); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Kill(orphan, unix.SIGKILL)
		_, _ = unix.Wait4(orphan, nil, 0, nil)
	})
	for len(Children(child)) == 0 {
	}
	grandchild := Children(child)[0]
	var met []int
	Walk(time.Now().Add(time.Minute), func(m Member) {
		p, ok := Find(m.PID)
		if !ok || p.Start != m.Start {
			t.Errorf("%d has the start %d, not %d", m.PID, m.Start, p.Start)
		}
		met = append(met, m.PID)
	})
	for _, pid := range []int{cmd.Process.Pid, orphan, child, grandchild} {
		if i := slices.Index(met, pid); i < 0 || slices.Contains(met[i+1:], pid) {
			t.Errorf("%d is not once in %v", pid, met)
		}
	}
	if slices.Index(met, child) > slices.Index(met, grandchild) || slices.Contains(met, os.Getpid()) || slices.Contains(met, os.Getppid()) {
		t.Errorf("met %v", met)
	}
	Walk(time.Now(), func(m Member) { t.Errorf("met %d after the deadline", m.PID) })
	for _, pid := range []int{orphan, child, grandchild} {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// TestChildrenByParent: a kernel without lists of children shows the same by the parents.
func TestChildrenByParent(t *testing.T) {
	cmd, _ := shell(t, `sleep 1000 & sleep 1000 & setsid sleep 1000 & echo started; wait`, ownSessionOf)
	want, got := Children(cmd.Process.Pid), childrenByParent(cmd.Process.Pid)
	slices.Sort(want)
	slices.Sort(got)
	if len(want) != 3 || !slices.Equal(got, want) {
		t.Errorf("by the parents %v, by the lists %v", got, want)
	}
	for _, kid := range want {
		_ = Kill(kid)
	}
	if got := childrenByParent(1 << 21); got != nil {
		t.Errorf("a process that is not there has the children %v", got)
	}
}

// TestWalkPassesOverTheEnded: one that only waits to be waited for is not visited.
func TestWalkPassesOverTheEnded(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(Own(), cmd.Process.Pid) {
		t.Error("it is no child")
	}
	Walk(time.Now().Add(time.Minute), func(m Member) {
		if m.PID == cmd.Process.Pid {
			t.Error("it was visited")
		}
	})
}

// TestMeetSparesAStranger: a pid that was listed below the tree is another process's
// by the time that it is looked at.
func TestMeetSparesAStranger(t *testing.T) {
	cmd, _ := shell(t, "echo; exec sleep 1000", nil)
	self, ok := readStat(os.Getpid())
	child, found := readStat(cmd.Process.Pid)
	if !ok || !found {
		t.Fatal("there is no /proc")
	}
	visited := 0
	visit := func(m Member) {
		if visited++; m.PID != cmd.Process.Pid || m.Start != child.start {
			t.Errorf("%+v was visited", m)
		}
	}
	for _, tt := range []struct {
		name  string
		below parent
		want  bool
	}{
		{"of another process", parent{1 << 21, 0}, false},
		{"of another process that has the pid of the parent", parent{os.Getpid(), self.start - 1}, false},
		{"of this process", parent{os.Getpid(), self.start}, true},
		{"of a root", parent{os.Getpid(), 0}, true},
	} {
		before := visited
		if start, ok := meet(cmd.Process.Pid, tt.below, visit); ok != tt.want || visited != before+map[bool]int{true: 1}[tt.want] || ok && start != child.start {
			t.Errorf("a child %s: %v, %d visits", tt.name, ok, visited-before)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if _, ok := meet(cmd.Process.Pid, parent{os.Getpid(), 0}, visit); ok {
		t.Error("a process that is gone was visited")
	}
}

func TestLook(t *testing.T) {
	cmd := sleeper(t, "/bin/sleep", "1000")
	s := Look(cmd.Process.Pid)
	for s.State != 'S' { // until it sleeps
		s = Look(cmd.Process.Pid)
	}
	if s.Name != "sleep" || s.UID != os.Geteuid() || s.PID != cmd.Process.Pid || s.Waits() {
		t.Errorf("%+v", s)
	}
	if want := fmt.Sprintf("sleep (pid %d, state S, uid %d)", s.PID, os.Geteuid()); s.String() != want {
		t.Errorf("%q, want %q", s, want)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if s := Look(cmd.Process.Pid); s.String() != fmt.Sprintf("pid %d, which /proc hides", cmd.Process.Pid) || s.UID != -1 {
		t.Errorf("%+v", s)
	}
}

func TestNameAndState(t *testing.T) {
	for text, want := range map[string]string{
		"1 (init) S 0 1":      "init S",
		"2 (a) b (c) ) D 0 1": "a) b (c)  D",
		"":                    " ?",
		"3 (x)":               " ?",
		"4 (x) ":              " ?",
		") 5 ( D":             " ?",
		"6 () Z 1":            " Z",
	} {
		name, state := nameAndState([]byte(text))
		if got := fmt.Sprintf("%s %c", name, state); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestWorst: a thread that waits in the kernel decides, wherever it is.
func TestWorst(t *testing.T) {
	for _, tt := range []struct {
		own     byte
		threads string
		want    byte
	}{{'S', "", 'S'}, {'S', "SR", 'S'}, {'Z', "ZSR", 'Z'}, {'S', "SDR", 'D'}, {'Z', "ZD", 'D'}, {'D', "D", 'D'}} {
		if got := worst(tt.own, []byte(tt.threads)); got != tt.want {
			t.Errorf("%c with %q: %c", tt.own, tt.threads, got)
		}
	}
}

// TestTasksCountsThreads compares the count before and after there are more of them.
func TestTasksCountsThreads(t *testing.T) {
	uid := uint32(os.Getuid())
	if os.Geteuid() == 0 {
		uid = 3999999 // of no account
		if n := Tasks(uid); n != 0 {
			t.Fatalf("uid 3999999 has %d processes", n)
		}
		for range 3 {
			cmd := exec.Command("/bin/sleep", "1000")
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
		}
		if n := Tasks(uid); n != 3 {
			t.Errorf("%d processes, want 3", n)
		}
		return
	}
	if n := Tasks(uid); n < 2 {
		t.Errorf("this program alone has more than %d threads", n)
	}
}

// TestAllTasks counts at least the threads of one process.
func TestAllTasks(t *testing.T) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := AllTasks(); !ok || n < len(threads) {
		t.Errorf("%d, %v; this program alone has %d threads", n, ok, len(threads))
	}
}

// roots returns what KillTree gets for one root.
func roots(pids ...int) func() []int { return func() []int { return pids } }

// TestKillTree: K14, all below the root is ended, also what has a session and a group
// of its own; another child of this process is not.
func TestKillTree(t *testing.T) {
	other := sleeper(t, "/bin/sleep", "1000")
	cmd, line := shell(t, `setsid sh -c 'setsid sleep 1000 & echo $!; wait' & wait`, ownSessionOf)
	var deepest int
	if _, err := fmt.Sscan(line, &deepest); err != nil {
		t.Fatal(err)
	}
	below := Descendants(cmd.Process.Pid)
	if !slices.Contains(below, deepest) {
		t.Fatalf("%d is not below: %v", deepest, below)
	}
	KillTree(time.Now().Add(time.Minute), roots(cmd.Process.Pid))
	_ = cmd.Wait()
	for _, pid := range below {
		for end := time.Now().Add(time.Minute); ; {
			if stat, ok := readStat(pid); !ok || stat.ended {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d is alive", pid)
			}
		}
	}
	if p, ok := Find(other.Process.Pid); !ok || p.Gone() {
		t.Error("another child was ended")
	}
}

// TestKillTreeStopsFirst: K14, a bomb fills each place that becomes free. A process that is
// stopped keeps its place.
func TestKillTreeStopsFirst(t *testing.T) {
	cmd, line := shell(t, `(trap '' TERM; while :; do sleep 0.01; done) & echo $!; wait`, ownSessionOf)
	var child int
	if _, err := fmt.Sscan(line, &child); err != nil {
		t.Fatal(err)
	}
	calls, stopped := 0, false
	KillTree(time.Now().Add(time.Minute), func() []int {
		// The first look below the root follows its third call.
		calls++
		for end := time.Now().Add(time.Minute); calls == 4 && !stopped && time.Now().Before(end); {
			stopped = Look(child).State == 'T'
		}
		return []int{cmd.Process.Pid}
	})
	if !stopped {
		t.Error("the child was not stopped while the tree was looked at again")
	}
	if ws := wait(cmd); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws.Signal())
	}
}

// TestKillTreeAfterTheDeadline: nothing is stopped, and the root is killed.
func TestKillTreeAfterTheDeadline(t *testing.T) {
	cmd, line := shell(t, `sleep 1000 & echo $!; wait`, ownSessionOf)
	var child int
	if _, err := fmt.Sscan(line, &child); err != nil {
		t.Fatal(err)
	}
	KillTree(time.Now(), roots(cmd.Process.Pid))
	if ws := wait(cmd); ws.Signal() != unix.SIGKILL {
		t.Errorf("ended by %v", ws.Signal())
	}
}

// TestKillTreeSparesAStranger: K14, a process that has another start than at its visit has
// the pid of one that ended.
func TestKillTreeSparesAStranger(t *testing.T) {
	for earlier, want := range []unix.Signal{unix.SIGKILL, unix.SIGTERM} {
		cmd := sleeper(t, "/bin/sleep", "1000")
		p, ok := Find(cmd.Process.Pid)
		if !ok {
			t.Fatal("it is not there")
		}
		Member{PID: p.PID, Start: p.Start - uint64(earlier)}.killAfterVisit()
		if err := unix.Kill(p.PID, unix.SIGTERM); err != nil { // without effect after SIGKILL
			t.Fatal(err)
		}
		if ws := wait(cmd); ws.Signal() != want {
			t.Errorf("visited %d ticks before its start: ended by %v, want %v", earlier, ws.Signal(), want)
		}
	}
}

// TestLooksAgain: the first look stops a process that is continued afterwards and then
// starts another one, which ends with the tree.
func TestLooksAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "late")
	cmd, line := shell(t, `setsid bash -c '
		trap "trap : CONT; setsid sleep 1000 >/dev/null 2>&1 & echo \$! >$1" CONT
		sleep 1001 >/dev/null 2>&1 &
		echo $$
		while :; do wait; done' bash `+file+` & wait`, ownSessionOf)
	var starter, late int
	if _, err := fmt.Sscan(line, &starter); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	until := func(done func() bool) {
		for !done() && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
	}
	calls := 0
	KillTree(deadline, func() []int {
		if calls++; calls == 4 { // two to stop the roots, one for the first look
			for _, pid := range []int{cmd.Process.Pid, starter} {
				until(func() bool { return Look(pid).State == 'T' })
				if s := Look(pid); s.State != 'T' {
					t.Errorf("not stopped: %s", s)
				}
			}
			_ = unix.Kill(starter, unix.SIGCONT)
			until(func() bool {
				text, _ := os.ReadFile(file)
				n, _ := fmt.Sscan(string(text), &late)
				return n == 1
			})
		}
		return []int{cmd.Process.Pid}
	})
	_ = cmd.Wait()
	if late == 0 {
		t.Fatal("no process was started late")
	}
	defer unix.Kill(late, unix.SIGKILL)
	p, ok := Find(late)
	until(func() bool { return !ok || p.Gone() })
	if ok && !p.Gone() {
		t.Error("the process that was started late has not ended")
	}
}

// TestUntilNoneIsNew: the look that finds none is the last one, and so is that at the deadline.
func TestUntilNoneIsNew(t *testing.T) {
	for finds, limit := range map[int]time.Duration{0: time.Minute, 1: time.Minute, 3: time.Minute, 1 << 30: 10 * time.Millisecond} {
		deadline, looks, late := time.Now().Add(limit), 0, 0
		untilNoneIsNew(deadline, func() int {
			if time.Now().After(deadline) {
				late++
			}
			if looks++; looks > finds+1 || late > 1 {
				t.Fatalf("look %d, the %d. after the deadline, where %d find one", looks, late, finds)
			}
			return max(0, finds+1-looks)
		})
		if limit == time.Minute && looks != finds+1 {
			t.Errorf("%d looks, want %d", looks, finds+1)
		}
	}
	untilNoneIsNew(time.Now(), func() int { t.Error("a look after the deadline"); return 0 })
}

// TestKillAll: what is below a process ends with it only where that is requested.
func TestKillAll(t *testing.T) {
	for _, below := range []bool{false, true} {
		cmd, line := shell(t, `setsid bash -c 'echo $$; exec sleep 1000 >/dev/null' & wait`, ownSessionOf)
		var child int
		if _, err := fmt.Sscan(line, &child); err != nil {
			t.Fatal(err)
		}
		KillAll([]int{cmd.Process.Pid}, below)
		if ws := wait(cmd); ws.Signal() != unix.SIGKILL {
			t.Errorf("below %v: ended by %v", below, ws.Signal())
		}
		if below {
			for p, ok := Find(child); ok && !p.Gone(); {
				time.Sleep(time.Millisecond)
			}
		} else if p, ok := Find(child); !ok || p.Gone() {
			t.Error("what is below was killed too")
		}
		_ = unix.Kill(child, unix.SIGKILL)
	}
}

func TestMalformedStat(t *testing.T) {
	const whole = "7 (a) S 5 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0"
	for text, want := range map[string]bool{
		whole:                                   true,
		strings.Replace(whole, "S 5", "S x", 1): false,
		strings.Replace(whole, "99", "x", 1):    false,
		whole[:40]:                              false,
		"":                                      false,
	} {
		if _, ok := parseStat([]byte(text)); ok != want {
			t.Errorf("%q: %v", text, ok)
		}
	}
}

// TestHeadlessIsAlive: K14, a process whose first thread has ended is a zombie in
// proc_pid_stat(5) as long as another thread runs.
func TestHeadlessIsAlive(t *testing.T) {
	for threads, ended := range map[int]bool{0: true, 1: true, 2: false, 3: false} {
		stat, ok := parseStat([]byte(fmt.Sprintf("7 (a) b) Z 5 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 %d 0 99 0 0", threads)))
		if !ok || stat.ended != ended || stat.parent != 5 || stat.start != 99 {
			t.Errorf("%d threads: %+v, %v", threads, stat, ok)
		}
	}
}
