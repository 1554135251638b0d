package mounts

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	fuseControl      = "/sys/fs/fuse/connections"
	fuseControlMagic = 0x65735543 // FUSE_CTL_SUPER_MAGIC of linux/magic.h
)

// Mounter returns who mounted the FUSE file system that an open file is on, by the
// device number of its stat(2); ok is false for other file systems. The daemon of
// that account decides what owners and modes the file system shows.
//
// The kernel lists FUSE connections by their device and gives each entry to the
// account that mounted it (Documentation/filesystems/fuse.rst). Where that list is not
// mounted, the mount table has the same.
func Mounter(fd int, device uint64) (uid uint32, ok bool) {
	if unix.Major(device) != 0 {
		return 0, false // on a disk, which only root can mount
	}
	var control unix.Statfs_t
	err := unix.Statfs(fuseControl, &control)
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, false // the kernel has no FUSE
	case err == nil && control.Type == fuseControlMagic:
		var st unix.Stat_t
		err := unix.Stat(fuseControl+"/"+strconv.FormatUint(uint64(unix.Minor(device)), 10), &st)
		return st.Uid, err == nil
	}
	m, found := OfFile(fd)
	if !found {
		return 0, false
	}
	return m.mounter()
}

// mounter reads the option of a FUSE mount.
func (m Mount) mounter() (uid uint32, ok bool) {
	if m.Type != "fuse" && !strings.HasPrefix(m.Type, "fuse.") {
		return 0, false
	}
	for _, option := range m.Options {
		if text, found := strings.CutPrefix(option, "user_id="); found {
			n, err := strconv.ParseUint(text, 10, 32)
			return uint32(n), err == nil
		}
	}
	return 0, false
}
