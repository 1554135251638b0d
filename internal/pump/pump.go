// Package pump moves what one process writes to where another one reads it. A
// writer that keeps the pump's pipe open cannot block the reader: the owner of the pump
// decides how long it waits.
package pump

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
)

// Pump is a pipe whose content is moved to a file.
type Pump struct {
	in   int
	out  *os.File
	size int
	done chan error
}

// Size of a pipe in bytes, where the kernel allows that much: a larger one means
// fewer switches between writer and pump. The pipes of an ordinary user may hold
// 64 MiB together (pipe-user-pages-soft in pipe(7)): these are a hundred large ones.
const Size = 512 << 10

// much is the least that a call moves while a writer fills the pipe: half of what a pipe
// holds by default.
const much = 32 << 10

// A pump of a large output waits for gatherTime after a call that moved less than half of
// what a pipe holds. A processor that is free wakes it for each piece of some KiB, and it
// would use more processor time than the writer does. A call of the kernel and not a
// timer of the runtime, which waits a whole millisecond.
const gatherTime = 50 * time.Microsecond

// New makes a pump to out and returns the end to write to, which the caller closes
// once the writer has it. Nothing is moved before Start. The pipe, and out where that
// is one, hold up to size bytes from when much is written; 0 leaves them as they are.
func New(out *os.File, size int) (*Pump, *os.File, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	return &Pump{in: fds[0], out: out, size: size, done: make(chan error, 1)}, os.NewFile(uintptr(fds[1]), "pump"), nil
}

// enlarge makes a pipe hold more, where it is one and the kernel allows it. A call moves
// no more than the smaller of two pipes holds.
func enlarge(fd, size int) {
	if now, _ := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0); now < size {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, size)
	}
}

// Start begins to move.
func (p *Pump) Start() { go func() { p.done <- move(p.in, int(p.out.Fd()), p.size) }() }

// Drain waits until all has been moved, at most for limit: a process that belongs
// to another account, or one that the kernel does not end, may hold the pipe. It
// returns the first write error.
func (p *Pump) Drain(limit time.Duration) error { return p.DrainBusy(limit, limit) }

// DrainBusy is Drain that waits for idle where nothing is in the pipe, and for limit while
// something is: on a busy machine this process, or the one that reads the output, may get
// no processor for a while.
func (p *Pump) DrainBusy(idle, limit time.Duration) error {
	for end := time.Now().Add(limit); ; {
		late := time.NewTimer(min(idle, time.Until(end)))
		select {
		case err := <-p.done:
			late.Stop()
			return err
		case <-late.C:
		}
		if !p.hasMore() || !time.Now().Before(end) {
			return nil
		}
	}
}

// hasMore reports whether something in the pipe waits to be moved.
func (p *Pump) hasMore() bool {
	n, err := unix.IoctlGetInt(p.in, unix.TIOCINQ)
	return err == nil && n > 0
}

// Text returns what is in a pump that was not started, at most limit bytes.
func (p *Pump) Text(limit int) string {
	_ = unix.SetNonblock(p.in, true)
	text := make([]byte, limit)
	return string(text[:read(p.in, text)])
}

// read returns how much it read from a pipe, 0 at its end and where there is nothing to read.
func read(in int, buf []byte) (n int) {
	_ = eintr.Retry(func() (err error) {
		n, err = unix.Read(in, buf)
		return err
	})
	return max(n, 0)
}

// move splices until the end of in. When out cannot be written any more, the
// rest is discarded, so that a job that is stopping does not block.
//
// A regular file is written, not spliced to: two descriptors may share its
// position, as after ">log 2>&1". write(2) takes its turn at that position,
// splice(2) does not, and one output then covers the other.
func move(in, out, size int) error {
	if regular(out) {
		return copyAll(in, out)
	}
	large := false
	for {
		n, err := unix.Splice(in, nil, out, nil, Size, 0)
		if n >= much && size > 0 && !large {
			enlarge(in, size)
			enlarge(out, size)
			large = true
		}
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
		default:
			gather(large, n)
		}
	}
}

// gather waits after a call that moved n bytes, where that is little of a large output.
func gather(large bool, n int64) {
	if large && n < Size/2 {
		_ = unix.Nanosleep(&unix.Timespec{Nsec: gatherTime.Nanoseconds()}, nil) // a signal ends it early
	}
}

func regular(fd int) bool {
	var st unix.Stat_t // zero where it cannot be read
	_ = unix.Fstat(fd, &st)
	return st.Mode&unix.S_IFMT == unix.S_IFREG
}

// copyAll is for where splice(2) does not work: not to a terminal, nor to a file
// opened for appending, nor when memory is short.
func copyAll(in, out int) error {
	buf := make([]byte, 64<<10)
	for {
		n := read(in, buf)
		if n == 0 {
			return nil
		}
		if err := writeAll(out, buf[:n]); err != nil {
			discard(in)
			return err
		}
	}
}

func writeAll(out int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(out, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EAGAIN:
			waitWritable(out)
		case unix.EINTR:
		default:
			return err
		}
	}
	return nil
}

func waitWritable(fd int) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
}

func discard(in int) {
	for buf := make([]byte, 64<<10); read(in, buf) > 0; {
	}
}
