package tail

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
)

// logFile is an open regular file. It is no os.File: hundreds of jobs look at theirs each
// second, and that takes two more system calls and a finalizer for each.
type logFile struct {
	fd int
	id fileID
}

// fileID is the same for two descriptors of one file.
type fileID struct{ dev, ino uint64 }

var errNotRegular = errors.New("not a regular file")

// openLog rejects a link as the last component and does not block on a FIFO.
func openLog(path string) (*logFile, error) {
	fd, err := eintr.Openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		return nil, errNotRegular
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := &logFile{fd: fd}
	st, err := f.stat()
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = errNotRegular
	}
	if err != nil {
		f.close()
		return nil, err
	}
	f.id = fileID{uint64(st.Dev), st.Ino}
	return f, nil
}

func (f *logFile) stat() (st unix.Stat_t, err error) {
	err = eintr.Fstat(f.fd, &st)
	return st, err
}

// size is the length in bytes.
func (f *logFile) size() (int64, error) {
	st, err := f.stat()
	return st.Size, err
}

// readAt reads once. It returns 0 with an error, and without one at the end of the file.
func (f *logFile) readAt(buf []byte, offset int64) (n int, err error) {
	err = eintr.Retry(func() (err error) {
		n, err = unix.Pread(f.fd, buf, offset)
		return err
	})
	return max(n, 0), err
}

// close closes the file; of none it does nothing.
func (f *logFile) close() {
	if f != nil {
		_ = unix.Close(f.fd)
	}
}
