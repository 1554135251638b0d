package safedir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/noreplace"
)

// File opens a regular file in f. It follows no link, and blocks only for a lease; flags
// are those of open(2). The error is unix.ENOENT when there is none.
func (f *Dir) File(name string, flags int) (*os.File, error) {
	file, _, err := f.FileStat(name, flags)
	return file, err
}

// FileStat is File, and returns what was known of the file when it was opened.
func (f *Dir) FileStat(name string, flags int) (file *os.File, st unix.Stat_t, err error) {
	if err := checkName(name); err != nil {
		return nil, st, err
	}
	fd, err := openFile(f.fd, name, flags)
	if errors.Is(err, unix.ENOENT) {
		return nil, st, err
	}
	if err != nil {
		return nil, st, diskspace.Explain("cannot open "+f.display(name), f.path.String(), err)
	}
	if err := fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, st, failure.Systemf("cannot use %s: it is not a regular file", f.display(name))
	}
	return os.NewFile(uintptr(fd), f.display(name)), st, nil
}

// OpenForLock opens an existing file by its path, for nothing but a lock. It follows no
// link at its end, and never blocks.
func OpenForLock(path string) (*os.File, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Read returns the content of a file of at most limit bytes.
func (f *Dir) Read(name string, limit int64) ([]byte, error) {
	file, err := f.File(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, diskspace.Explain("cannot read "+f.display(name), f.path.String(), err)
	case int64(len(text)) > limit:
		return nil, failure.Systemf("cannot use %s: longer than %d bytes", f.display(name), limit)
	}
	return text, nil
}

// Write replaces a file atomically: a reader gets the old text or the new one, and a full
// disk leaves the old one.
func (f *Dir) Write(name string, text []byte) error {
	if err := f.write(name+".new", text); err != nil {
		return diskspace.Explain("cannot write "+f.display(name), f.path.String(), err)
	}
	err := retry(func() error { return unix.Renameat(f.fd, name+".new", f.fd, name) })
	if err != nil {
		return diskspace.Explain("cannot write "+f.display(name), f.path.String(), err)
	}
	return nil
}

func (f *Dir) write(name string, text []byte) error {
	file, err := f.createOrTruncate(name)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	// Over NFS the error of a full disk may appear only here.
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}

// createOrTruncate opens a file that usually does not exist: one that this call creates
// is regular.
func (f *Dir) createOrTruncate(name string) (*os.File, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if fd, err := openFile(f.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL); err == nil {
		return os.NewFile(uintptr(fd), f.display(name)), nil
	}
	return f.File(name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
}

// RemoveEmpty removes an empty directory.
func (f *Dir) RemoveEmpty(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return retry(func() error { return unix.Unlinkat(f.fd, name, unix.AT_REMOVEDIR) })
}

// IsSameFile reports whether name is still the name of a file that was opened.
func (f *Dir) IsSameFile(name string, opened unix.Stat_t) bool {
	var named unix.Stat_t
	err := retry(func() error { return unix.Fstatat(f.fd, name, &named, unix.AT_SYMLINK_NOFOLLOW) })
	return err == nil && named.Ino == opened.Ino && named.Dev == opened.Dev
}

// ModTime is when an entry last changed; the zero time when there is none.
func (f *Dir) ModTime(name string) time.Time {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Sec, st.Mtim.Nsec)
}

// Names lists the entries of f.
func (f *Dir) Names() (names []string, err error) {
	_, err = unix.Seek(f.fd, 0, unix.SEEK_SET)
	for buffer, n := make([]byte, 32<<10), 1; err == nil && n > 0; {
		err = retry(func() (err error) {
			n, err = unix.Getdents(f.fd, buffer)
			return err
		})
		for e := range parseDirents(buffer[:max(n, 0)]) {
			names = append(names, e.name)
		}
	}
	if err != nil {
		return nil, diskspace.Explain(fmt.Sprintf("cannot list %s", f.path), f.path.String(), err)
	}
	return names, nil
}

// Move moves an entry of f to another directory of the same file system. The error is
// unix.EEXIST when that has an entry of the new name, and unix.ENOENT when f has no such
// entry.
func (f *Dir) Move(name string, to *Dir, newName string) error {
	for _, n := range []string{name, newName} {
		if err := checkName(n); err != nil {
			return err
		}
	}
	err := noreplace.Rename(f.fd, name, to.fd, newName)
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EEXIST) {
		return err
	}
	return diskspace.Explain(fmt.Sprintf("cannot move %s to %s", f.display(name), to.display(newName)), f.path.String(), err)
}

func openat(dir int, name string, flags int) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

// leaseTime is longer than the kernel lets another process keep a lease on a file that
// is being opened (lease-break-time of proc_sys_fs(5), 45 s).
const leaseTime = 50 * time.Second

// openFile opens a file without blocking on a FIFO. It waits for the lease of another
// process, such as Samba, or this host's own NFS server on behalf of a client: a lease
// makes a non-blocking open fail (EWOULDBLOCK in open(2)).
func openFile(dir int, name string, flags int) (fd int, err error) {
	for deadline := time.Now().Add(leaseTime); ; time.Sleep(20 * time.Millisecond) {
		fd, err = openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY)
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return fd, err
		}
	}
}

func fstat(fd int, st *unix.Stat_t) error {
	return retry(func() error { return unix.Fstat(fd, st) })
}

// retry repeats a call that a signal interrupted: Go's runtime preempts its threads by
// signals, and network file systems do not block them.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
