package process

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Pump moves what a job writes into the runner's pipe. The job never holds the
// runner's own pipe: a daemon left behind could keep the stage open for ever.
type Pump struct {
	in   *os.File
	done chan error
}

// pipeSize of the job's pipe in bytes, where the kernel allows that much: it means
// fewer switches between the job and us. All pipes of a user may hold 64 MiB
// (pipe-user-pages-soft in pipe(7)), so that a hundred jobs fit.
const pipeSize = 512 << 10

// NewPump gives the end for the job to write to; what comes through it is moved
// to out. The caller closes the end once the job has it.
func NewPump(out *os.File) (*Pump, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("cannot make a pipe for the job's output: %w", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	p := &Pump{in: os.NewFile(uintptr(fds[0]), "job output"), done: make(chan error, 1)}
	go func() { p.done <- move(fds[0], int(out.Fd())) }()
	return p, os.NewFile(uintptr(fds[1]), "job output"), nil
}

// Drain waits until all has been moved, at most for limit: a process that
// belongs to somebody else may hold the pipe. It returns the first write error.
func (p *Pump) Drain(limit time.Duration) error {
	select {
	case err := <-p.done:
		return err
	case <-time.After(limit):
		return nil
	}
}

// move splices until the end of in. When out cannot be written any more, the
// rest is thrown away, so that a job in the middle of stopping does not block.
//
// A regular file is written, not spliced to: two descriptors may share its
// position, as after ">log 2>&1". write(2) takes its turn at that position,
// splice(2) does not, and one output then covers the other.
func move(in, out int) error {
	if regular(out) {
		return copyAll(in, out)
	}
	for {
		n, err := unix.Splice(in, nil, out, nil, pipeSize, 0)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			waitWritable(out)
		case err == unix.EPIPE:
			discard(in)
			return err
		case err != nil:
			return copyAll(in, out)
		case n == 0:
			return nil
		}
	}
}

func regular(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// copyAll is for where splice(2) does not work: not to a terminal, nor to a file
// opened for appending, nor when memory is short.
func copyAll(in, out int) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(in, buf)
		if n > 0 {
			if werr := writeAll(out, buf[:n]); werr != nil {
				discard(in)
				return werr
			}
		}
		if n == 0 || (err != nil && err != unix.EINTR) {
			return nil
		}
	}
}

func writeAll(out int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(out, b)
		switch {
		case err == unix.EAGAIN:
			waitWritable(out)
		case err == unix.EINTR:
		case err != nil:
			return err
		default:
			b = b[n:]
		}
	}
	return nil
}

func waitWritable(fd int) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
}

func discard(in int) {
	buf := make([]byte, 64<<10)
	for {
		if n, err := unix.Read(in, buf); n == 0 || (err != nil && err != unix.EINTR) {
			return
		}
	}
}
