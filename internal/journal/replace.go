package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/lockwait"
)

const (
	// writersLimit is how long other processes may write the same file.
	writersLimit = 10 * time.Second
	writersPause = 5 * time.Millisecond
	// bufferSize is for content that is written in small pieces, in bytes.
	bufferSize = 64 << 10
)

// Replace replaces the file of a name in the open directory, so that a reader sees the
// old or the new content as a whole: a mark, a digest, or what is made of a journal. The
// content is written to the file .NAME.new, which one process at a time can have, and
// which replaces the other by rename(2) once it is on the disk. What a killed process left
// of it is overwritten.
func Replace(dir int, name string, mode os.FileMode, write func(io.Writer) error) error {
	temporary := "." + name + ".new"
	var file *os.File
	err := lockwait.Poll(time.Now().Add(writersLimit), writersPause, func() (err error) {
		file, err = openTemporary(dir, temporary)
		return err
	})
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, bufferSize)
	if err = write(out); err == nil {
		err = errors.Join(out.Flush(), file.Chmod(mode), file.Sync())
	}
	if err == nil {
		err = eintr.Retry(func() error { return unix.Renameat(dir, temporary, dir, name) })
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temporary, 0)
	}
	return err
}

// openTemporary opens the temporary file, empty and for this process alone. unix.EAGAIN means
// that another process was faster: it has the file, or has renamed it.
func openTemporary(dir int, name string) (*os.File, error) {
	fd, err := eintr.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		err = checkTemporary(fd, dir, name)
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot write %s: %w", name, err)
	}
	return file, nil
}

// idOf identifies a file: the device, and the number on it.
func idOf(st unix.Stat_t) [2]uint64 { return [2]uint64{uint64(st.Dev), st.Ino} }

// checkTemporary refuses a file that another account could have put there or could still change.
func checkTemporary(fd, dir int, name string) error {
	var opened, named unix.Stat_t
	if err := eintr.Fstat(fd, &opened); err != nil {
		return err
	}
	if eintr.Fstatat(dir, name, &named) != nil || idOf(opened) != idOf(named) {
		return unix.EAGAIN
	}
	if opened.Mode&unix.S_IFMT != unix.S_IFREG || opened.Nlink != 1 || int(opened.Uid) != unix.Geteuid() {
		return errors.New("another account put it there; remove it")
	}
	return nil
}
