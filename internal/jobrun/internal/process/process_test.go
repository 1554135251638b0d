package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/profiles"
)

// TestMain runs each scenario in a process of its own: becoming the reaper of
// all children cannot be shared with the testing package, nor undone.
func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv("PROCESS_SCENARIO"); ok {
		scenarios[name]()
		os.Exit(0)
	}
	profiles.DefaultSignals() // TestChildFirst's SIGHUP
	os.Exit(m.Run())
}

var scenarios = map[string]func(){
	"exit codes":      exitCodes,
	"has started":     hasStarted,
	"leftovers":       leftovers,
	"stubborn":        stubborn,
	"hurry":           hurry,
	"adopted zombies": adoptedZombies,
	"binary output":   binaryOutput,
	"prepared":        prepared,
	"unprepared":      unprepared,
	"held pipe":       heldPipe,
	"known":           known,
	"without":         without,
	"requests":        requests,
	"child first":     childFirst,
	"idle":            idle,
	"collected":       collected,
}

func family() *Reaper {
	return familyAfter(nil)
}

func familyAfter(prepare func() error) *Reaper {
	f, err := NewReaper(prepare)
	check(err)
	return f
}

func check(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func bash(f *Reaper, script string, out *os.File) *Process {
	null, err := os.Open(os.DevNull)
	check(err)
	p, err := f.Start(Command{Path: "/bin/bash", Args: []string{"bash", "-c", script}, Dir: "/", Files: []*os.File{null, out, out}, Env: []string{"PATH=/usr/bin:/bin"}})
	check(err)
	return p
}

func scenario(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROCESS_SCENARIO="+name)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("scenario %q: %v\n%s", name, err, out)
	}
	return string(out)
}

func expect(t *testing.T, name, want string) {
	t.Helper()
	if got := scenario(t, name); got != want {
		t.Errorf("scenario %q printed\n%swant\n%s", name, got, want)
	}
}

func exitCodes() {
	f := family()
	for _, script := range []string{"exit 0", "exit 7", "exit 255", "kill -TERM $$", "kill -KILL $$"} {
		s := <-bash(f, script, os.Stdout).Done
		fmt.Printf("%s: %d %d\n", script, s.Code, s.Signal)
	}
	_, err := f.Start(Command{Path: "/nonexistent", Dir: "/"})
	fmt.Println(err)
}

func TestStatusIsTheProgramsOwn(t *testing.T) {
	expect(t, "exit codes", "exit 0: 0 0\nexit 7: 7 0\nexit 255: 255 0\nkill -TERM $$: 143 15\nkill -KILL $$: 137 9\n"+
		"cannot start /nonexistent: no such file or directory\n")
}

func hasStarted() {
	f := family()
	fmt.Print(f.HasStarted())
	_, err := f.Start(Command{Path: "/nonexistent", Dir: "/"})
	fmt.Print(" ", err != nil, " ", f.HasStarted())
	<-bash(f, "exit 0", os.Stdout).Done
	fmt.Println("", f.HasStarted())
}

// TestHasStarted: not before the first program, nor by one that cannot be started.
func TestHasStarted(t *testing.T) { expect(t, "has started", "false true false true\n") }

func leftovers() {
	f := family()
	<-bash(f, "setsid sleep 1000 & (setsid bash -c 'sleep 1001 & sleep 1002' &) ; nohup sleep 1003 >/dev/null 2>&1 & exit 0", os.Stdout).Done
	found, ended := f.Sweep(time.Second, nil)
	fmt.Println(found >= 3, ended, f.Empty(), len(proctree.Descendants(os.Getpid())))
}

func TestSweepEndsDetachedProcesses(t *testing.T) { expect(t, "leftovers", "true true true 0\n") }

func stubborn() {
	f := family()
	r, w, err := os.Pipe()
	check(err)
	p := bash(f, "trap '' TERM; (trap '' TERM; echo ready; while :; do sleep 0.1; done) & wait", w)
	_, err = r.Read(make([]byte, 8))
	check(err)
	start := time.Now()
	_, ended := f.Sweep(200*time.Millisecond, nil)
	s := <-p.Done
	fmt.Println(ended, s.Signal == unix.SIGKILL, time.Since(start) >= 200*time.Millisecond)
}

func TestSweepKillsWhatIgnoresTerm(t *testing.T) { expect(t, "stubborn", "true true true\n") }

func hurry() {
	f := family()
	r, w, err := os.Pipe()
	check(err)
	p := bash(f, "trap '' TERM; echo ready; while :; do sleep 0.1; done", w)
	_, err = r.Read(make([]byte, 8))
	check(err)
	now := make(chan struct{})
	close(now)
	_, ended := f.Sweep(time.Hour, now)
	fmt.Println(ended, (<-p.Done).Signal == unix.SIGKILL)
}

func TestSweepInAHurryDoesNotWaitForGrace(t *testing.T) { expect(t, "hurry", "true true\n") }

func adoptedZombies() {
	f := family()
	// Each inner shell leaves a child to this process and ends.
	p := bash(f, "for i in $(seq 300); do (sleep 0.01 &) ; done; sleep 0.5", os.Stdout)
	<-p.Done
	_, ended := f.Sweep(time.Second, nil)
	zombies := 0
	for _, kid := range proctree.Children(os.Getpid()) {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(kid) + "/stat")
		if strings.Contains(string(text), ") Z ") {
			zombies++
		}
	}
	fmt.Println(ended, zombies)
}

func TestAdoptedChildrenAreReaped(t *testing.T) { expect(t, "adopted zombies", "true 0\n") }

const lumps = 3 << 20

func binaryOutput() {
	f := family()
	pump, end, err := NewPump(os.Stdout)
	check(err)
	p := bash(f, fmt.Sprintf("head -c %d /dev/zero; printf 'a\\0\\377\\r\\nlast'", lumps), end)
	end.Close()
	<-p.Done
	check(pump.Drain(5 * time.Second))
}

func TestPumpIsByteExact(t *testing.T) {
	want := append(bytes.Repeat([]byte{0}, lumps), "a\x00\xff\r\nlast"...)
	if got := scenario(t, "binary output"); got != string(want) {
		t.Errorf("to a pipe: %d bytes arrived, want %d", len(got), len(want))
	}
	for _, mode := range []int{os.O_WRONLY | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_APPEND} {
		name := t.TempDir() + "/out"
		file, err := os.OpenFile(name, mode, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env, cmd.Stdout = append(os.Environ(), "PROCESS_SCENARIO=binary output"), file
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(name); !bytes.Equal(got, want) {
			t.Errorf("to a file opened with %#x: %d bytes arrived, want %d", mode, len(got), len(want))
		}
	}
}

func heldPipe() {
	f := family()
	pump, end, err := NewPump(os.Stdout)
	check(err)
	p := bash(f, "echo before", end)
	<-p.Done
	// This process still holds the end, as a stranger's process might.
	start := time.Now()
	check(pump.Drain(100 * time.Millisecond))
	fmt.Println(time.Since(start) < 2*time.Second)
	end.Close()
}

func TestDrainIsBounded(t *testing.T) { expect(t, "held pipe", "before\ntrue\n") }

func TestWriteErrorIsReportedAndTheJobIsNotBlocked(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	pump, end, err := NewPump(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(end, bytes.NewReader(make([]byte, 4<<20))); err != nil {
		t.Errorf("the writer was disturbed: %v", err)
	}
	end.Close()
	if err := pump.Drain(5 * time.Second); err != unix.EPIPE {
		t.Errorf("got %v, want EPIPE", err)
	}
}

func prepared() {
	f := familyAfter(func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
	for range 2 {
		r, w, err := os.Pipe()
		check(err)
		p := bash(f, "grep -h NoNewPrivs /proc/self/status", w)
		w.Close()
		text, err := io.ReadAll(r)
		check(err)
		fmt.Printf("%q %d\n", strings.TrimSpace(string(text)), (<-p.Done).Code)
	}
	own, err := os.ReadFile("/proc/thread-self/status")
	check(err)
	fmt.Println(strings.Contains(string(own), "NoNewPrivs:\t0"))
	// The parent-death signal is tied to the thread: were it gone, so were this.
	p, err := f.Start(Command{Path: "/bin/sleep", Args: []string{"sleep", "0.2"}, Dir: "/"})
	check(err)
	runtime.GC()
	fmt.Println((<-p.Done).Signal)
}

func TestPreparationReachesEveryProgramAndNotThisOne(t *testing.T) {
	expect(t, "prepared", strings.Repeat(`"NoNewPrivs:\t1" 0`+"\n", 2)+"true\nsignal 0\n")
}

// TestRefusedIsInWords: the user reads of the limit, the caller finds the error.
func TestRefusedIsInWords(t *testing.T) {
	err := refused(fmt.Errorf("cannot start /bin/x: %w", unix.EAGAIN))
	line, _ := failure.ForUser(err, true, "")
	if !errors.Is(err, unix.EAGAIN) || !failure.HasPublicText(err) || strings.Contains(line, "/bin/x") || line != err.Error() ||
		!strings.HasPrefix(line, "no more processes or threads can be started as your account") {
		t.Errorf("%v, %q", err, line)
	}
}

func unprepared() {
	f, err := NewReaper(func() error { return unix.EPERM })
	fmt.Println(f, err)
}

func TestWithoutPreparationNothingStarts(t *testing.T) {
	expect(t, "unprepared", "<nil> operation not permitted\n")
}

// known leaves processes of two generations behind.
func known() {
	f := family()
	<-bash(f, "setsid sleep 1000 & (setsid bash -c 'sleep 1001 & wait' &)", os.Stdout).Done
	old := f.Snapshot()
	<-bash(f, "setsid sleep 1002 & (setsid sleep 1003 &)", os.Stdout).Done
	fmt.Println(f.Await(10*time.Millisecond, nil, old), f.Await(time.Hour, nil, f.Snapshot()))
	f.Sweep(time.Second, nil)
	fmt.Println(f.Await(time.Hour, nil, old))
}

func TestKnownProcessesAreNotWaitedFor(t *testing.T) { expect(t, "known", "2 0\n0\n") }
