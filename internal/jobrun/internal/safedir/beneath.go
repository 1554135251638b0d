package safedir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
)

// openBeneath opens a file some levels below the directory dir, and follows no link on the way:
// by one call (openat2(2), Linux 5.6), or where that fails level by level. Older kernels and
// filters of system calls refuse the call, and the errors are the same for all. flags are those
// of open(2).
func openBeneath(dir int, elem []string, flags int) (fd int, err error) {
	for _, name := range elem {
		if err := checkName(name); err != nil {
			return -1, err
		}
	}
	fd, err = openResolved(dir, elem, flags)
	if err == nil || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EEXIST) {
		return fd, err
	}
	return openStepwise(dir, elem, flags)
}

func openResolved(dir int, elem []string, flags int) (fd int, err error) {
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_NOFOLLOW | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	if flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	err = eintr.Retry(func() error {
		fd, err = unix.Openat2(dir, strings.Join(elem, "/"), &how)
		return err
	})
	return fd, err
}

func openStepwise(dir int, elem []string, flags int) (fd int, err error) {
	parent, err := eintr.Openat(dir, ".", pathFlags)
	last := len(elem) - 1
	if err == nil {
		parent, err = descend(parent, elem[:last])
	}
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	return eintr.Openat(parent, elem[last], flags|unix.O_NOFOLLOW)
}

// descend opens the directory that is some levels below one (O_PATH), which it closes.
func descend(fd int, elem []string) (below int, err error) {
	for _, name := range elem {
		parent := fd
		fd, err = eintr.Openat(parent, name, pathFlags)
		unix.Close(parent)
		if err != nil {
			return -1, err
		}
	}
	return fd, nil
}

// openAtOnce opens a directory some levels below f by one call. ok is false where the levels
// have to be opened one by one.
func (f *Dir) openAtOnce(elem []string) (below *Dir, ok bool) {
	if len(elem) < 2 {
		return nil, false
	}
	path, err := f.path.Join(elem...)
	if err != nil {
		return nil, false
	}
	fd, err := openBeneath(f.fd, elem, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, false
	}
	return &Dir{fd, path, f.rules}, true
}

// openBelow is openAtOnce and judges the directory, that one alone.
//
// Where only the owner may enter f, no other account can replace the directories in
// between, so that their owners and modes make no difference; Make, in the config stage,
// judges them anyway.
func (f *Dir) openBelow(elem []string) (below *Dir, ok bool) {
	if f.rules.Group {
		return nil, false
	}
	if below, ok = f.openAtOnce(elem); !ok {
		return nil, false
	}
	if below.checkExisting() != nil {
		below.Close()
		return nil, false
	}
	return below, true
}

// FileBelow is a file some levels below a base directory that the config stage has judged.
// Each access follows the way from there by descriptor and through no link, as processes of
// the same account may replace directories meanwhile: nothing outside is written or removed.
type FileBelow struct {
	base string
	// elem lead from the base to the file's directory.
	elem []string
	name string
}

// NewFileBelow is the file of that name in the directory dir, which is the base or below it.
func NewFileBelow(base, dir job.AbsPath, name string) FileBelow {
	f := FileBelow{base: base.String(), name: name}
	if dir != base {
		f.elem = strings.Split(strings.TrimPrefix(dir.String(), f.base+"/"), "/")
	}
	return f
}

const pathFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW

// Open opens the file with flags of open(2), without blocking.
func (f FileBelow) Open(flags int) (*os.File, error) {
	base, err := f.openBase()
	if err != nil {
		return nil, err
	}
	defer unix.Close(base)
	fd, err := openBeneath(base, append(slices.Clone(f.elem), f.name), flags|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(f.base, f.name)), nil
}

func (f FileBelow) openBase() (fd int, err error) {
	return eintr.Openat(unix.AT_FDCWD, f.base, pathFlags)
}

// Create makes the file. The error is unix.EEXIST when it exists.
func (f FileBelow) Create() (*os.File, error) {
	return f.Open(unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY)
}

// Remove removes the file. It ignores errors.
func (f FileBelow) Remove() {
	dir, err := f.openBase()
	if err == nil {
		dir, err = descend(dir, f.elem)
	}
	if err == nil {
		_ = unix.Unlinkat(dir, f.name, 0)
		unix.Close(dir)
	}
}
