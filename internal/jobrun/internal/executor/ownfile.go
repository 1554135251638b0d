package executor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// ownFile is a file of the job's own directory. The way to it from the base directory is
// followed by descriptor and contains no link, as processes of the same account may replace
// directories meanwhile: nothing outside is written or removed.
type ownFile struct {
	base string
	// elements lead from the base to the file's directory.
	elements []string
	name     string
}

func newOwnFile(d ipc.Dirs, name string) ownFile {
	way := strings.TrimPrefix(d.Scripts.String(), d.Base.String()+"/")
	return ownFile{d.Base.String(), strings.Split(way, "/"), name}
}

const directoryFlags = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// directory opens the file's directory (O_PATH).
func (f ownFile) directory() (fd int, err error) {
	if fd, err = unix.Open(f.base, directoryFlags, 0); err != nil {
		return -1, err
	}
	for _, element := range f.elements {
		next, err := unix.Openat(fd, element, directoryFlags, 0)
		unix.Close(fd)
		if err != nil {
			return -1, err
		}
		fd = next
	}
	return fd, nil
}

// open opens the file itself, which is no link.
func (f ownFile) open(flags int) (*os.File, error) {
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
func (f ownFile) openAtOnce(flags int) (fd int, err error) {
	base, err := unix.Open(f.base, directoryFlags, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(base)
	return safedir.OpenBeneath(base, append(slices.Clone(f.elements), f.name), flags|unix.O_NONBLOCK)
}

// openStepwise is openAtOnce where the kernel cannot do that.
func (f ownFile) openStepwise(flags int) (fd int, err error) {
	dir, err := f.directory()
	if err != nil {
		return -1, err
	}
	defer unix.Close(dir)
	return unix.Openat(dir, f.name, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600)
}

// create makes the file, which must not exist.
func (f ownFile) create() (*os.File, error) {
	return f.open(unix.O_CREAT | unix.O_EXCL | unix.O_WRONLY)
}

func (f ownFile) remove() {
	if dir, err := f.directory(); err == nil {
		_ = unix.Unlinkat(dir, f.name, 0)
		unix.Close(dir)
	}
}

// claim makes the file. It returns false only where the file was there.
func (f ownFile) claim() bool {
	file, err := f.create()
	if err != nil {
		return !errors.Is(err, unix.EEXIST)
	}
	file.Close()
	return true
}
