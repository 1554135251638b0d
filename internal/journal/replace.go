package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
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
// which replaces the other by rename(2). What a killed process left of it is overwritten.
func Replace(dir int, name string, mode os.FileMode, write func(io.Writer) error) error {
	temporary := "." + name + ".new"
	file, err := lockTemporary(dir, temporary)
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriterSize(file, bufferSize)
	if err = write(out); err == nil {
		err = errors.Join(out.Flush(), file.Chmod(mode))
	}
	if err == nil {
		err = unix.Renameat(dir, temporary, dir, name)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temporary, 0)
	}
	return err
}

// lockTemporary opens the temporary file, empty and for this process alone.
func lockTemporary(dir int, name string) (*os.File, error) {
	deadline := time.Now().Add(writersLimit)
	for {
		file, err := openTemporary(dir, name)
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			return file, err
		}
		time.Sleep(writersPause)
	}
}

// openTemporary is one try. unix.EWOULDBLOCK means that another process was faster: it has the
// file, or has renamed it.
func openTemporary(dir int, name string) (*os.File, error) {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
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

// checkTemporary refuses a file that another account could have put there or could still change.
func checkTemporary(fd, dir int, name string) error {
	var opened, named unix.Stat_t
	if err := unix.Fstat(fd, &opened); err != nil {
		return err
	}
	if unix.Fstatat(dir, name, &named, unix.AT_SYMLINK_NOFOLLOW) != nil || opened.Dev != named.Dev || opened.Ino != named.Ino {
		return unix.EWOULDBLOCK
	}
	if opened.Mode&unix.S_IFMT != unix.S_IFREG || opened.Nlink != 1 || int(opened.Uid) != unix.Geteuid() {
		return errors.New("another account put it there; remove it")
	}
	return nil
}
