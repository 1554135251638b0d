package process

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// started starts a script and returns its output after the first line, a pid.
func started(f *Reaper, script string) (p *Process, pid int, lines *bufio.Scanner) {
	r, w, err := os.Pipe()
	check(err)
	p = bash(f, script, w)
	check(w.Close())
	lines = bufio.NewScanner(r)
	lines.Scan()
	pid, err = strconv.Atoi(lines.Text())
	check(err)
	return p, pid, lines
}

// reportsTerm is a shell with another one below it, in another session. Each prints its
// place for every SIGTERM, and does not end by it.
const reportsTerm = `exec 2>/dev/null
trap 'echo parent' TERM
setsid bash -c 'trap "echo child" TERM; echo $$; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done`

// requests sweeps up the shells of reportsTerm, and spares none, one or both of them. Each
// sweep takes some rounds more after the lines that must come.
func requests() {
	f := family()
	for want := range 4 {
		p, below, lines := started(f, reportsTerm)
		hurry, all := make(chan struct{}), make(chan []string)
		go func() {
			var got []string
			for {
				if len(got) == want>>1+want&1 {
					time.AfterFunc(10*round, func() { close(hurry) })
				}
				if !lines.Scan() {
					break
				}
				got = append(got, lines.Text())
			}
			slices.Sort(got)
			all <- got
		}()
		spare := func(pid int) bool { return pid == p.PID && want&1 == 0 || pid == below && want&2 == 0 }
		_, ended := f.SweepExcept(spare, time.Minute, hurry)
		fmt.Println(ended, <-all)
	}
}

// TestTerm: every process gets SIGTERM once, a child as well as what is below one, and
// those that are spared do not get it.
func TestTerm(t *testing.T) {
	expect(t, "requests", "true []\ntrue [parent]\ntrue [child]\ntrue [child parent]\n")
}

// childFirst sweeps up a program with a child, in another session, that gets SIGHUP when the
// program ends, and prints how the child ended. The program waits for no child.
func childFirst() {
	f := family()
	_, below, _ := started(f, `trap '' TERM
setsid setpriv --pdeathsig HUP bash -c 'echo $$; exec sleep 1000' &
exec sleep 1000`)
	done, now := make(chan Status, 1), make(chan struct{})
	f.mu.Lock()
	f.own[below] = done
	f.mu.Unlock()
	close(now)
	_, ended := f.Sweep(time.Minute, now)
	select {
	case s := <-done:
		fmt.Println(ended, s.Signal)
	case <-time.After(20 * time.Second):
		fmt.Println(ended, "the child's status did not arrive")
	}
}

// TestChildFirst: what is below a child has ended before it can act on the child's end.
func TestChildFirst(t *testing.T) { expect(t, "child first", "true killed\n") }

// idle prints how often it is reported, within a second, that the last child was collected.
func idle() {
	f := family()
	<-f.alone // there is none at first
	<-bash(f, "exit 0", os.Stdout).Done
	reports := 0
	for late := time.After(time.Second); ; {
		select {
		case <-f.alone:
			reports++
			continue
		case <-late:
		}
		break
	}
	var used unix.Rusage
	check(unix.Getrusage(unix.RUSAGE_SELF, &used))
	fmt.Println(reports, time.Duration(used.Utime.Nano()+used.Stime.Nano()) < time.Second/2)
}

// TestWithoutChildren: without children the reaper waits for one to be started, and uses
// no processor.
func TestWithoutChildren(t *testing.T) { expect(t, "idle", "1 true\n") }

// collected leaves some children that have ended, and one that has not.
func collected() {
	f := &Reaper{own: map[int]chan<- Status{}, collected: make(chan struct{}, 1)}
	start := func(argv ...string) (int, <-chan Status) {
		pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{})
		check(err)
		done := make(chan Status, 1)
		f.own[pid] = done
		return pid, done
	}
	running, _ := start("/bin/sleep", "1000")
	var ended []<-chan Status
	for range 3 {
		pid, done := start("/bin/sh", "-c", "exit 3")
		check(unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil))
		ended = append(ended, done)
	}
	f.collectAll()
	for _, done := range ended {
		fmt.Println((<-done).Code)
	}
	<-f.collected
	f.collectAll()
	fmt.Println(len(f.collected), f.Empty())
	check(unix.Kill(running, unix.SIGKILL))
	check(unix.Waitid(unix.P_PID, running, nil, unix.WEXITED|unix.WNOWAIT, nil))
	f.collectAll()
	fmt.Println(len(f.collected), f.Empty())
}

// TestCollectAll takes every child that has ended, and reports nothing where none has.
func TestCollectAll(t *testing.T) {
	expect(t, "collected", strings.Repeat("3\n", 3)+"0 false\n1 true\n")
}

// without: those whose pids are given are not known.
func without() {
	f := family()
	p := bash(f, "exec sleep 1000", os.Stdout)
	bash(f, "exec sleep 1001", os.Stdout)
	fmt.Println(f.Await(time.Millisecond, nil, f.Snapshot()), f.Await(time.Millisecond, nil, f.Snapshot(p.PID)))
	f.Sweep(time.Second, nil)
}

func TestSnapshotWithout(t *testing.T) { expect(t, "without", "0 1\n") }

func TestStop(t *testing.T) {
	open, shut := make(chan struct{}), make(chan struct{})
	close(shut)
	for _, tt := range []struct {
		stop                  Stop
		terminating, aborting bool
	}{
		{Stop{}, false, false},
		{Stop{Terminate: open, Abort: open}, false, false},
		{Stop{Terminate: shut, Abort: open}, true, false},
		{Stop{Terminate: shut, Abort: shut}, true, true},
	} {
		if tt.stop.Terminating() != tt.terminating || tt.stop.Aborting() != tt.aborting {
			t.Errorf("terminating %v, want %v; aborting %v, want %v", tt.stop.Terminating(), tt.terminating, tt.stop.Aborting(), tt.aborting)
		}
	}
}

// TestMemory: a program reads the content from its beginning; a name may be too long.
func TestMemory(t *testing.T) {
	for _, content := range []string{"", "echo a\necho b\n"} {
		file, err := Memory("script", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		got := make([]byte, 100)
		if n, _ := unix.Read(int(file.Fd()), got); string(got[:max(n, 0)]) != content {
			t.Errorf("%q, want %q", got[:max(n, 0)], content)
		}
	}
	if file, err := Memory(strings.Repeat("a", 300), nil); err == nil || file != nil {
		t.Errorf("with a name of 300 bytes: %v, %v", file, err)
	}
}
