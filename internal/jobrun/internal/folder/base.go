package folder

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/storage"
)

// Base opens the directory at p, the only path that is ever looked up, and makes
// it where it is missing. It may be a symbolic link, of the user's or of root's,
// to a directory that fulfils the rules: homes are small, and users lead their
// base to scratch.
func Base(p job.AbsPath, rules Rules) (*Folder, error) {
	parent, err := openParent(path.Dir(p.String()))
	if err != nil {
		return nil, storage.Explain(fmt.Sprintf("cannot make %s", p), p.String(), err)
	}
	defer unix.Close(parent)
	made, err := makeIn(parent, p, rules)
	if err != nil {
		return nil, err
	}
	f, err := openIn(parent, p, rules)
	if err != nil {
		return nil, storage.Explain(fmt.Sprintf("cannot open %s", p), p.String(), err)
	}
	return f.unless(f.accept(made))
}

// Given opens a directory that the user himself named, and makes it, with those
// above it, where they are missing. It must be his, and nobody else may write
// it; the rules hold for what is made below.
func Given(p job.AbsPath, rules Rules) (*Folder, error) {
	parent, err := makeParents(path.Dir(p.String()), rules.mode())
	if err != nil {
		return nil, storage.Explain(fmt.Sprintf("cannot make %s", p), p.String(), err)
	}
	defer unix.Close(parent)
	if _, err := makeIn(parent, p, rules); err != nil {
		return nil, err
	}
	f, err := openIn(parent, p, rules)
	if err != nil {
		return nil, storage.Explain(fmt.Sprintf("cannot open %s", p), p.String(), err)
	}
	return f.unless(f.acceptGiven())
}

// Existing is Given for a directory that is there. Its error is unix.ENOENT
// where there is none.
func Existing(p job.AbsPath, rules Rules) (*Folder, error) {
	parent, err := openParent(path.Dir(p.String()))
	if err != nil {
		return nil, err
	}
	defer unix.Close(parent)
	f, err := openIn(parent, p, rules)
	if err != nil {
		return nil, err
	}
	return f.unless(f.acceptGiven())
}

// unless closes f when there is an error.
func (f *Folder) unless(err error) (*Folder, error) {
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *Folder) acceptGiven() error {
	var st unix.Stat_t
	if err := fstat(f.fd, &st); err != nil {
		return storage.Explain(fmt.Sprintf("cannot look at %s", f.path), f.path.String(), err)
	}
	if err := f.rules.judgeOwner(f.path.String(), &st); err != nil {
		return err
	}
	if st.Mode&0o022 != 0 {
		return failure.Systemf("cannot use %s: others may write it (mode %04o)", f.path, st.Mode&0o777).
			WithHint("make it your own: chmod go-w %s", f.path)
	}
	return nil
}

func openParent(dir string) (int, error) {
	return openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY)
}

// makeParents makes what is missing of a path, each in the directory that was
// made before.
func makeParents(dir string, mode uint32) (int, error) {
	fd, err := openParent(dir)
	if !errors.Is(err, unix.ENOENT) || dir == "/" {
		return fd, err
	}
	above, err := makeParents(path.Dir(dir), mode)
	if err != nil {
		return -1, err
	}
	defer unix.Close(above)
	err = again(func() error { return unix.Mkdirat(above, path.Base(dir), mode) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, err
	}
	return openat(above, path.Base(dir), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
}

// makeIn makes the last component of p in its parent, and tells whether it was
// missing.
func makeIn(parent int, p job.AbsPath, rules Rules) (made bool, err error) {
	err = again(func() error { return unix.Mkdirat(parent, path.Base(p.String()), rules.mode()) })
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return false, storage.Explain(fmt.Sprintf("cannot make %s", p), p.String(), err)
	}
	return err == nil, nil
}

// openIn opens the last component of p in its parent, through a link where it is
// one.
func openIn(parent int, p job.AbsPath, rules Rules) (*Folder, error) {
	name := path.Base(p.String())
	if err := judgeAbove(parent); err != nil {
		return nil, err
	}
	fd, err := openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		fd, err = openLink(parent, name, p, rules)
	}
	if err != nil {
		return nil, err
	}
	return &Folder{fd, p, rules}, nil
}

// judgeAbove judges the directory that the base is in.
func judgeAbove(parent int) error {
	var st unix.Stat_t
	if err := fstat(parent, &st); err != nil {
		return err
	}
	return judgeParent(pathOf(parent), &st)
}

// pathOf is the real path of a descriptor, for a message.
func pathOf(fd int) string {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd), buf)
	if err != nil {
		return "its parent directory"
	}
	return string(buf[:n])
}
