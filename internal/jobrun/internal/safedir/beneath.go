package safedir

import (
	"strings"

	"golang.org/x/sys/unix"
)

// OpenBeneath opens a file some levels below the directory dir by one call, and follows no
// link on the way (openat2(2), Linux 5.6). flags are those of open(2). A caller that gets
// an error opens the levels one by one: older kernels and filters of system calls refuse
// this call, and its errors do not name the level.
func OpenBeneath(dir int, elem []string, flags int) (fd int, err error) {
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
	err = retry(func() error {
		fd, err = unix.Openat2(dir, strings.Join(elem, "/"), &how)
		return err
	})
	if err != nil {
		return -1, err
	}
	return fd, nil
}

// openBelow opens a directory some levels below f by one call, and judges it alone. ok is
// false where the levels have to be opened one by one.
//
// Where only the owner may enter f, no other account can replace the directories in
// between, so that their owners and modes make no difference; Make, in the config stage,
// judges them anyway.
func (f *Dir) openBelow(elem []string) (below *Dir, ok bool) {
	if len(elem) < 2 || f.rules.Group {
		return nil, false
	}
	path, err := f.path.Join(elem...)
	if err != nil {
		return nil, false
	}
	fd, err := OpenBeneath(f.fd, elem, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, false
	}
	below = &Dir{fd, path, f.rules}
	if below.checkExisting() != nil {
		below.Close()
		return nil, false
	}
	return below, true
}
