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

// openBeneath opens a file some levels below the directory dir by one call, and follows no
// link on the way (openat2(2), Linux 5.6). flags are those of open(2). A caller that gets
// an error opens the levels one by one: older kernels and filters of system calls refuse
// this call, and its errors do not name the level.
func openBeneath(dir int, elem []string, flags int) (fd int, err error) {
	for _, name := range elem {
		if err := checkName(name); err != nil {
			return -1, err
		}
	}
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
	if err != nil {
		return -1, err
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
	fd, err := f.openAtOnce(flags)
	if err != nil && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EEXIST) {
		fd, err = f.openStepwise(flags)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(f.base, f.name)), nil
}

// openAtOnce needs two calls for what costs a file server five.
func (f FileBelow) openAtOnce(flags int) (fd int, err error) {
	base, err := eintr.Openat(unix.AT_FDCWD, f.base, pathFlags)
	if err != nil {
		return -1, err
	}
	defer unix.Close(base)
	return openBeneath(base, append(slices.Clone(f.elem), f.name), flags|unix.O_NONBLOCK)
}

// openStepwise is openAtOnce where the kernel cannot do that.
func (f FileBelow) openStepwise(flags int) (fd int, err error) {
	dir, err := f.directory()
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return eintr.Openat(dir, f.name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK)
}

// directory opens the file's directory (O_PATH).
func (f FileBelow) directory() (fd int, err error) {
	fd, err = eintr.Openat(unix.AT_FDCWD, f.base, pathFlags)
	for _, name := range f.elem {
		if err != nil {
			break
		}
		parent := fd
		fd, err = eintr.Openat(parent, name, pathFlags)
		unix.Close(parent)
	}
	return fd, err
}

// Create makes the file. The error is unix.EEXIST when it exists.
func (f FileBelow) Create() (*os.File, error) {
	return f.Open(unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY)
}

// Remove removes the file. It ignores errors.
func (f FileBelow) Remove() {
	if dir, err := f.directory(); err == nil {
		_ = unix.Unlinkat(dir, f.name, 0)
		unix.Close(dir)
	}
}
