package monitor

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
)

// player is a stand-in for jacamar: a shell, as a child of the scenario's process.
type player struct {
	monitor *Monitor
	child   *Child
	end     *ipc.ParentConn
	stderr  *os.File // what the runner reads
	left    []error
}

// play starts a shell that has the job's end of the socket as standard input, and sends
// results through it by printf.
func play(m *Monitor, script string) *player {
	p := &player{monitor: m}
	m.Left = func(err error) { p.left = append(p.left, err) }
	var err error
	var stderr *os.File
	p.stderr, stderr, err = os.Pipe()
	check(err)
	check(m.Ready())
	out, errs, err := m.Outputs(m.Runner, stderr)
	check(err)
	greeted, greet, err := os.Pipe()
	check(err)
	p.child, err = Start(func(socket *os.File) (int, error) {
		process, err := os.StartProcess("/bin/bash", []string{"bash", "-c", script}, &os.ProcAttr{Files: []*os.File{socket, out, errs, greeted}})
		if err != nil {
			return 0, err
		}
		if strings.Contains(script, hello) {
			check(ipc.NewChildConn(socket).Hello(ipc.Hello{PID: process.Pid}))
		}
		return process.Pid, nil
	})
	check(err)
	greet.Close()
	greeted.Close()
	out.Close()
	errs.Close()
	p.end = ipc.NewParentConn(p.child.Socket)
	return p
}

func (p *player) wait() (took time.Duration, err error) {
	begun := time.Now()
	_, err = p.monitor.Wait(p.child, p.end)
	return time.Since(begun), err
}

// hello is a command of bash that waits until play has sent the hello of its process.
const hello = "read -u 3; "

// report is a command of bash that sends a result.
func report(r ipc.Result) string {
	var frame bytes.Buffer
	check(ipc.NewChildConn(&frame).Report(r))
	var text strings.Builder
	for _, b := range frame.Bytes() {
		fmt.Fprintf(&text, `\%03o`, b)
	}
	return "printf '" + text.String() + "' >&0; "
}

func runner() (r, w *os.File) {
	r, w, err := os.Pipe()
	check(err)
	return r, w
}

func well() {
	_, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour}, hello+"echo early >&2; "+report(ipc.Result{}))
	took, err := p.wait()
	text := make([]byte, 100)
	n, _ := p.stderr.Read(text)
	fmt.Println(err, took < exitLimit, len(p.left), strings.TrimSpace(string(text[:n])))
}

func staysAfterItsResult() {
	_, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour}, "trap '' TERM; "+hello+report(ipc.Result{})+"while :; do sleep 1000; done")
	took, err := p.wait()
	fmt.Println(err, took >= exitLimit, took < exitLimit+endLimit, len(p.left))
}

func closesItsSocket() {
	_, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour}, hello+"exec </dev/null; sleep 1000")
	took, err := p.wait()
	line, _ := failure.ForUser(err, false, "")
	fmt.Println(line, took >= exitLimit, took < exitLimit+endLimit)
}

func asked() {
	_, w := runner()
	m := &Monitor{Runner: w, KillTimeout: 200 * time.Millisecond}
	p := play(m, hello+"sleep 1000")
	m.stop <- unix.SIGTERM
	took, err := p.wait()
	fmt.Println(err, took >= m.KillTimeout, took < exitLimit)
}

// heeds gets the request by a frame, and sends its own result.
func heeds() {
	_, w := runner()
	m := &Monitor{Runner: w, KillTimeout: time.Hour}
	p := play(m, hello+`read -N 1 frame; [ "$frame" = T ] && `+report(ipc.Result{Kind: "build", Code: 7, Reason: "x"}))
	m.stop <- unix.SIGTERM
	took, err := p.wait()
	fmt.Println(err, took < 20*time.Second)
}

func runnerGoes() {
	r, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour}, hello+"cat; "+report(ipc.Result{}))
	r.Close()
	took, err := p.wait()
	fmt.Println(err, took < cancelGrace)
}

func diesEarly() {
	_, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour}, "echo sorry >&2; exit 3")
	_, err := p.wait()
	line, _ := failure.ForUser(err, false, "")
	fmt.Printf("%s|%v|%q\n", line, err, arrived(p.stderr))
}

func isKilled() {
	_, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour}, hello+"kill -9 $$")
	_, err := p.wait()
	fmt.Println(err)
}

func crashes() {
	_, w := runner()
	p := play(&Monitor{Runner: w, KillTimeout: time.Hour, UID: uint32(os.Getuid())}, hello+"printf 'runtime stack:\\nruntime.throw(x)\\nruntime.newosproc(x)\\n' >&0; sleep 0.1")
	_, err := p.wait()
	line, _ := failure.ForUser(err, false, "")
	fmt.Println(strings.HasPrefix(line, "no more processes or threads can be started as your account: it has "), strings.HasSuffix(err.Error(), "jacamar crashed: runtime stack:\nruntime.throw(x)\nruntime.newosproc(x)"))
}

// cannotBeEnded is for an account that no process can signal as.
func cannotBeEnded() {
	_, w := runner()
	m := &Monitor{Runner: w, KillTimeout: time.Hour}
	p := play(m, hello+report(ipc.Result{})+"exec sleep 1000")
	conv := m.listen(p.end)
	<-conv.over
	left := leftError{all: m.denied(p.child).run(0, 0)}
	fmt.Println(len(left.all), verdict{last: conv.last(), left: left}.err() != nil)
	_ = unix.Kill(p.child.PID, unix.SIGKILL)
}

func TestWell(t *testing.T) { expect(t, "well", "<nil> true 0 early\n") }
func TestStaysAfterItsResult(t *testing.T) {
	expect(t, "stays after its result", "<nil> true true 0\n")
}

func TestClosesItsSocket(t *testing.T) {
	expect(t, "closes its socket", "this CI resource could not run the job true true\n")
}

func TestAskedToStop(t *testing.T) {
	expect(t, "asked", "the job was stopped by the runner true true\n")
}
func TestHeedsTheRequest(t *testing.T) { expect(t, "heeds", "x true\n") }
func TestRunnerGoes(t *testing.T) {
	expect(t, "runner goes", "the job was stopped by the runner true\n")
}

func TestIsKilled(t *testing.T) {
	expect(t, "is killed", "jacamar, which runs the job, was killed by signal 9 (SIGKILL)\n")
}
func TestCrashForWantOfAThread(t *testing.T) { expect(t, "crashes", "true true\n") }
func TestCannotBeEnded(t *testing.T)         { expect(t, "cannot be ended", "1 true\n") }

func TestDiesEarly(t *testing.T) {
	expect(t, "dies early", `this CI resource could not run the job|jacamar ended without a result (exit status 3): sorry|""`+"\n")
}
