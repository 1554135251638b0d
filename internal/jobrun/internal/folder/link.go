package folder

import (
	"errors"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// openLink opens the directory that a link leads to. The link is opened itself,
// so that its owner and its text are of one and the same (readlinkat(2)).
func openLink(parent int, name string, p job.AbsPath, rules Rules) (int, error) {
	link, err := openat(parent, name, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return -1, err
	}
	defer unix.Close(link)
	var st unix.Stat_t
	if err := fstat(link, &st); err != nil {
		return -1, err
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFLNK:
		return -1, failure.Systemf("cannot use %s: it is not a directory", p)
	case st.Uid != uint32(rules.Owner) && st.Uid != 0:
		return -1, failure.Systemf("cannot use %s: it is a symbolic link of uid %d, not yours (uid %d)", p, st.Uid, rules.Owner)
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(link, "", buf)
	if err != nil {
		return -1, err
	}
	return openTarget(parent, string(buf[:n]), p)
}

func openTarget(parent int, target string, p job.AbsPath) (int, error) {
	fd, err := openat(parent, target, unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return -1, failure.Systemf("cannot open %s: it is a symbolic link to %q, which does not exist", p, job.Clip(target)).
			WithHint("make that directory, closed to others: mkdir -m 700 …")
	}
	if err != nil {
		return -1, err
	}
	above, err := openat(fd, "..", unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		defer unix.Close(above)
		err = judgeAbove(above)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
