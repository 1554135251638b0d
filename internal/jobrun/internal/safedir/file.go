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

// File opens a regular file in f, never through a link and never waiting but for a
// lease; flags are those of open(2). Its error is unix.ENOENT where there is none.
func (f *Folder) File(name string, flags int) (*os.File, error) {
	if err := proper(name); err != nil {
		return nil, err
	}
	fd, err := openFile(f.fd, name, flags)
	if errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	if err != nil {
		return nil, diskspace.Explain("cannot open "+f.shown(name), f.path.String(), err)
	}
	var st unix.Stat_t
	if err := fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, failure.Systemf("cannot use %s: it is not a regular file", f.shown(name))
	}
	return os.NewFile(uintptr(fd), f.shown(name)), nil
}

// Read returns what is in a file of at most limit bytes.
func (f *Folder) Read(name string, limit int64) ([]byte, error) {
	file, err := f.File(name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	switch {
	case err != nil:
		return nil, diskspace.Explain("cannot read "+f.shown(name), f.path.String(), err)
	case int64(len(text)) > limit:
		return nil, failure.Systemf("cannot use %s: longer than %d bytes", f.shown(name), limit)
	}
	return text, nil
}

// Write replaces a file in one step: a reader sees the old text or the new one,
// and a full disk leaves the old one.
func (f *Folder) Write(name string, text []byte) error {
	if err := f.write(name+".new", text); err != nil {
		return diskspace.Explain("cannot write "+f.shown(name), f.path.String(), err)
	}
	err := again(func() error { return unix.Renameat(f.fd, name+".new", f.fd, name) })
	if err != nil {
		return diskspace.Explain("cannot write "+f.shown(name), f.path.String(), err)
	}
	return nil
}

func (f *Folder) write(name string, text []byte) error {
	file, err := f.File(name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	// Over NFS a full disk may show only here.
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	return err
}

// RemoveEmpty removes a directory that has nothing in it.
func (f *Folder) RemoveEmpty(name string) error {
	if err := proper(name); err != nil {
		return err
	}
	return again(func() error { return unix.Unlinkat(f.fd, name, unix.AT_REMOVEDIR) })
}

// Has reports whether the name still stands for an open file.
func (f *Folder) Has(name string, file *os.File) bool {
	var named, opened unix.Stat_t
	err := again(func() error { return unix.Fstatat(f.fd, name, &named, unix.AT_SYMLINK_NOFOLLOW) })
	return err == nil && fstat(int(file.Fd()), &opened) == nil && named.Ino == opened.Ino && named.Dev == opened.Dev
}

// Time is when an entry last changed; the zero time where there is none.
func (f *Folder) Time(name string) time.Time {
	var st unix.Stat_t
	if err := again(func() error { return unix.Fstatat(f.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return time.Time{}
	}
	return time.Unix(st.Mtim.Sec, st.Mtim.Nsec)
}

// Names lists what is in f.
func (f *Folder) Names() ([]string, error) {
	again, err := openat(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, diskspace.Explain(fmt.Sprintf("cannot list %s", f.path), f.path.String(), err)
	}
	dir := os.NewFile(uintptr(again), f.path.String())
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, diskspace.Explain(fmt.Sprintf("cannot list %s", f.path), f.path.String(), err)
	}
	return names, nil
}

// Move moves an entry of f to another directory of the same file system, where
// nothing of that name may be: its error is then unix.EEXIST. It is unix.ENOENT
// when f has no such entry.
func (f *Folder) Move(name string, to *Folder, newName string) error {
	for _, n := range []string{name, newName} {
		if err := proper(n); err != nil {
			return err
		}
	}
	err := noreplace.Rename(f.fd, name, to.fd, newName)
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EEXIST) {
		return err
	}
	return diskspace.Explain(fmt.Sprintf("cannot move %s to %s", f.shown(name), to.shown(newName)), f.path.String(), err)
}
