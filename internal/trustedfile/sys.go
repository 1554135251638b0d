package trustedfile

import (
	"errors"

	"golang.org/x/sys/unix"
)

// facts are what a judgement needs of stat(2).
type facts struct {
	Mode uint32 // st_mode, type bits included
	UID  uint32
	Size int64
	Dev  uint64
}

func openat(dir int, name string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0o600)
		return err
	})
	return fd, err
}

func fstat(fd int) (facts, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstat(fd, &st) })
	return factsOf(&st), err
}

func fstatat(dir int, name string) (facts, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return factsOf(&st), err
}

// readlink opens the link itself, so that its text and its owner are of one
// and the same link (readlinkat(2), empty pathname).
func readlink(dir int, name string) (target string, owner facts, err error) {
	fd, err := openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return "", facts{}, err
	}
	defer unix.Close(fd)
	if owner, err = fstat(fd); err != nil {
		return "", facts{}, err
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, "", buf)
	if err != nil {
		return "", facts{}, err
	}
	if n == len(buf) {
		return "", facts{}, unix.ENAMETOOLONG
	}
	return string(buf[:n]), owner, nil
}

func factsOf(st *unix.Stat_t) facts {
	return facts{Mode: st.Mode, UID: st.Uid, Size: st.Size, Dev: uint64(st.Dev)}
}

// again repeats a call that a signal cut short: Go's runtime preempts its
// threads by signals, and a network file system lets them through.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
