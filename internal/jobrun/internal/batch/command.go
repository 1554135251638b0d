package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/pump"
)

// Commander runs a batch system's commands to their end, or until ctx ends.
type Commander interface {
	Run(ctx context.Context, c scheduler.Command) scheduler.Reply
}

// Programs runs real programs as children of this process.
type Programs struct {
	Reaper *process.Reaper
	Dirs   []string // searched for the programs, in this order
	Env    []string
	Dir    string // the working directory
	// Files become descriptors from 3 on.
	Files []*os.File
}

const (
	// outputLimit bounds what is read of one command's output, in bytes: Grid Engine's qstat
	// has 450 for each of the user's jobs, or of all users' where the site or the user has
	// "-u *" among the defaults of qstat (sge_qstat of qstat(1)).
	outputLimit = 32 << 20
	// outputGrace is how long to read output after the command itself has ended: a
	// daemon that it left behind may hold the pipe open.
	outputGrace = 300 * time.Millisecond
	// spareTasks is how many processes and threads a command and the wait for it need
	// at most. Go's runtime aborts a program that cannot create a thread.
	spareTasks = 8
)

var (
	errTimeout     = errors.New("timed out")
	errOutputLimit = errors.New("output limit exceeded")
	errNotFound    = errors.New("not found")
)

// notStarted is the error of a program that did not run at all. retry reports that a
// later try may succeed, because the account had no process left.
type notStarted struct {
	error
	retry bool
}

func (n notStarted) Unwrap() error { return n.error }

// Run implements Commander.
func (p Programs) Run(ctx context.Context, c scheduler.Command) scheduler.Reply {
	path, err := p.Find(c.Argv[0])
	if err != nil {
		return scheduler.Reply{Err: notStarted{error: err}}
	}
	if tasks := process.TasksBefore(spareTasks); tasks.Short(spareTasks) {
		return scheduler.Reply{Err: notStarted{errors.New(tasks.String()), true}}
	}
	stdout, outEnd, err := newCapture()
	if err != nil {
		return scheduler.Reply{Err: notStarted{error: err}}
	}
	stderr, errEnd, err := newCapture()
	if err != nil {
		return scheduler.Reply{Err: notStarted{error: err}}
	}
	child, err := p.start(path, c, outEnd, errEnd)
	outEnd.Close()
	errEnd.Close()
	if err != nil {
		return scheduler.Reply{Err: notStarted{err, errors.Is(err, unix.EAGAIN)}}
	}
	r := wait(ctx, child, stdout.limitReached, stderr.limitReached)
	r.Stdout, r.Stderr = stdout.text(), stderr.text()
	if r.Err != nil {
		r.Err = fmt.Errorf("%s: %w", c.Argv[0], r.Err)
	}
	return r
}

// Missing returns an error for the first program that is not in the directories.
func (p Programs) Missing(names []string) error {
	for _, name := range names {
		if _, err := p.Find(name); err != nil {
			return err
		}
	}
	return nil
}

// Find returns the path of a program. A path that is absolute already is only checked.
func (p Programs) Find(name string) (string, error) {
	if filepath.IsAbs(name) {
		if !isProgram(name) {
			return "", fmt.Errorf("%s: %w, or not executable", name, errNotFound)
		}
		return name, nil
	}
	for _, dir := range p.Dirs {
		if path := filepath.Join(dir, name); isProgram(path) {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w, or not executable, in %s", name, errNotFound, strings.Join(p.Dirs, " and "))
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

func (p Programs) start(path string, c scheduler.Command, out, errs *os.File) (*process.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	dir := p.Dir
	if info, err := os.Stat(c.Dir); err == nil && info.IsDir() {
		dir = c.Dir
	}
	return p.Reaper.Start(process.Command{
		Path: path, Args: c.Argv, Env: append(append([]string(nil), p.Env...), c.Env...), Dir: dir,
		Files: append([]*os.File{null, out, errs}, p.Files...),
	})
}

// wait waits for the command; the command leads its own session, so a kill of the
// process group reaches its children too.
func wait(ctx context.Context, child *process.Process, full ...<-chan struct{}) scheduler.Reply {
	var why error
	select {
	case s := <-child.Done:
		if s.Signal != 0 {
			return scheduler.Reply{Err: fmt.Errorf("killed by signal %d", int(s.Signal))}
		}
		return scheduler.Reply{Code: s.Code}
	case <-ctx.Done():
		why = errTimeout
	case <-full[0]:
		why = errOutputLimit
	case <-full[1]:
		why = errOutputLimit
	}
	_ = unix.Kill(-child.PID, unix.SIGKILL)
	<-child.Done
	return scheduler.Reply{Err: why}
}

// capture collects one output of a command.
type capture struct {
	pipe         *os.File
	buf          []byte
	limitReached chan struct{} // closed when the output exceeds the limit
	done         chan struct{}
}

func newCapture() (*capture, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot create a pipe: %w", err)
	}
	c := &capture{pipe: r, limitReached: make(chan struct{}), done: make(chan struct{})}
	go c.read()
	return c, w, nil
}

func (c *capture) read() {
	defer close(c.done)
	c.buf, _ = io.ReadAll(io.LimitReader(pump.NewReader(c.pipe), outputLimit))
	if len(c.buf) == outputLimit {
		close(c.limitReached)
	}
}

// text returns the output, after the command has ended.
func (c *capture) text() string {
	_ = c.pipe.SetReadDeadline(time.Now().Add(outputGrace))
	<-c.done
	c.pipe.Close()
	return string(c.buf)
}
