package monitor

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/proctree"
)

// Child is a started jacamar.
type Child struct {
	// PID is that of what was started: of jacamar, or of a sudo whose child it is.
	PID int
	// Socket is connected to its standard input.
	Socket *os.File
	// jacamar is nil until it has sent its hello.
	jacamar *jacamar
}

// Start makes the socket between the programs and lets fork start jacamar, or what
// becomes jacamar, with the other end of it as standard input.
func Start(fork func(socket *os.File) (pid int, err error)) (*Child, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make the socket for jacamar: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ipc socket"), os.NewFile(uintptr(pair[1]), "jacamar")
	defer theirs.Close()
	pid, err := fork(theirs)
	if err != nil {
		ours.Close()
		return nil, err
	}
	return &Child{PID: pid, Socket: ours}, nil
}

// Cut ends this process's side of the conversation: jacamar reads it as the loss
// of its parent and ends the job at once. Its result can still be read.
func (c *Child) Cut() { _ = unix.Shutdown(int(c.Socket.Fd()), unix.SHUT_WR) }

// Close ends both sides, also for a reader of this process who is still waiting;
// what has arrived can be read.
func (c *Child) Close() { _ = unix.Shutdown(int(c.Socket.Fd()), unix.SHUT_RDWR) }

// limit bounds each read and write of the socket.
func (c *Child) limit(d time.Duration) error {
	t := unix.NsecToTimeval(d.Nanoseconds())
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(int(c.Socket.Fd()), unix.SOL_SOCKET, option, &t); err != nil {
			return fmt.Errorf("cannot limit the wait for jacamar: %w", err)
		}
	}
	return nil
}

// ended reports whether a child has ended. It does not wait for it, so that its
// pid is not given to another process.
func ended(pid int) bool {
	var info unix.Siginfo
	for {
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err != nil || info.Signo != 0
		}
	}
}

// jacamar is one that has sent its hello. Below a sudo it is no child of this process: its
// pid is another process's once it has ended.
type jacamar struct {
	hello ipc.Hello
	pid   int
	held  *proctree.Member // nil when it had ended by then
}

func (c *Child) meet(h ipc.Hello) {
	c.jacamar = &jacamar{h, h.PID, nil}
	if held, err := proctree.Hold(h.PID); err == nil {
		c.jacamar.held = &held
	}
}

func (j *jacamar) alive() bool { return j.held != nil && j.held.Alive() }

// Environ is the whole environment that jacamar starts with; jacamar makes that of the
// job. Go's runtime prepares for each processor of a node: with 256 of them that takes
// longer than all else that jacamar does. With one there are also fewer threads, and
// fewer switches between them. Of a fatal error the runtime prints one line instead of
// stacks: the user reads it.
func Environ() []string { return []string{"PATH=/usr/bin:/bin", "GOMAXPROCS=1", "GOTRACEBACK=none"} }

// conversation is what jacamar has reported: its hello, then its result.
type conversation struct {
	// hello is closed when greeting was set.
	hello    chan struct{}
	greeting ipc.Hello
	// over is closed when outcome was set; no message follows.
	over    chan struct{}
	outcome outcome
}

// outcome is what is known of jacamar's end.
type outcome struct {
	result ipc.Result
	err    error
	// tasks is how many processes and threads the account had when jacamar was refused
	// one, 0 where that is not known.
	tasks int
}

func (m *Monitor) listen(end *ipc.ParentConn) *conversation {
	w := &conversation{hello: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(w.over)
		// It reads what the user's side has written.
		if err := crash.Recovered(func() error { w.outcome = w.read(end, m.Note); return nil }); err != nil {
			w.outcome = outcome{err: err}
		}
		if crash := (*ipc.CrashError)(nil); errors.As(w.outcome.err, &crash) && crash.Threads() {
			w.outcome.tasks = proctree.Tasks(m.UID)
		}
	}()
	return w
}

func (w *conversation) read(end *ipc.ParentConn, note func(ipc.Note)) (o outcome) {
	if w.greeting, o.err = end.Greeting(); o.err != nil {
		return o
	}
	close(w.hello)
	o.result, o.err = end.Result(note)
	return o
}

// last waits for the outcome of a conversation that was closed.
func (w *conversation) last() outcome {
	<-w.over
	return w.outcome
}

// meet records, once, that jacamar has sent its hello: it runs, and its standard error is
// the job's from then on.
func (m *Monitor) meet(c *Child, conv *conversation) {
	select {
	case <-conv.hello:
	default:
		return
	}
	if c.jacamar != nil {
		return
	}
	c.meet(conv.greeting)
	if m.errs != nil {
		m.errs.Start()
	}
}
