package pump

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Reader reads a pipe until its end or its deadline. After the deadline it still returns
// what the pipe has: a read of Go's runtime then fails without a look, also where the
// process got no processor until the deadline had passed. What comes later is not read: a
// writer may write without end.
type Reader struct {
	pipe *os.File
	// left is how much is to be read after the deadline, in bytes.
	left int
	late bool
}

// NewReader returns a reader of a pipe with deadlines, such as one of os.Pipe.
func NewReader(pipe *os.File) *Reader { return &Reader{pipe: pipe} }

// Read implements io.Reader. The error after the deadline is os.ErrDeadlineExceeded where
// a process still has the pipe open for writing.
func (r *Reader) Read(p []byte) (n int, err error) {
	if !r.late {
		if n, err = r.pipe.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
	raw, err := r.pipe.SyscallConn()
	if err != nil {
		return 0, err
	}
	if failed := raw.Control(func(fd uintptr) { n, err = r.readLate(int(fd), p) }); failed != nil {
		return 0, failed
	}
	return n, err
}

// readLate reads what the pipe had at the first call. The descriptor does not block.
func (r *Reader) readLate(fd int, p []byte) (int, error) {
	if !r.late {
		r.late = true
		r.left, _ = unix.IoctlGetInt(fd, unix.TIOCINQ)
	}
	if r.left > 0 {
		if n := read(fd, p[:min(len(p), r.left)]); n > 0 {
			r.left -= n
			return n, nil
		}
	}
	if open(fd) {
		return 0, os.ErrDeadlineExceeded
	}
	return 0, io.EOF
}

// open reports whether a pipe has a writer, or something to read.
func open(fd int) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return err != nil || n == 0 || poll[0].Revents&unix.POLLIN != 0
}
