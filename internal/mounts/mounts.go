// Package mounts finds the mount that a file is on.
package mounts

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/procfs"
)

// Mount is a line of proc_pid_mountinfo(5).
type Mount struct {
	Point  string // the directory that it is mounted on
	Type   string // of the file system: "ext4", "nfs4", "fuse.sshfs"
	Source string // the device, or the address of the file server
	// Options are those of the file system, such as user_id=1000 of FUSE.
	Options []string
}

// Of returns the mount of path or, where there is no such file, of its nearest existing
// parent directory. If the mount cannot be determined, only Point is set, to path.
func Of(path string) Mount {
	fd, err := OpenNearest(path)
	if err != nil {
		return Mount{Point: path}
	}
	defer unix.Close(fd)
	return OfFile(fd, path)
}

// OfFile is Of for an open file with this path.
func OfFile(fd int, path string) Mount {
	if m, ok := ofFile(fd); ok {
		return m
	}
	return Mount{Point: path}
}

// ofFile returns the mount of an open file. It reads the whole mount table; ok is
// false where /proc does not show it.
func ofFile(fd int) (m Mount, ok bool) {
	table, err := procfs.Read("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, false
	}
	return find(string(table), ID(fd))
}

// OpenNearest opens path (O_PATH) or, where there is no such file, its nearest existing
// parent directory.
func OpenNearest(path string) (fd int, err error) {
	for ; ; path = filepath.Dir(path) {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil || path == "/" || path == "." {
			return fd, err
		}
	}
}

// find returns the line of a mount. Its fields are the mount id, the parent's id,
// the device, the root, the point, the mount's options, any number of optional
// fields, "-", the type, the source and the file system's options.
func find(table string, id uint64) (Mount, bool) {
	for line := range strings.Lines(table) {
		head, tail, _ := strings.Cut(line, " - ") // a blank in a field is escaped
		fields := strings.Fields(head)
		if len(fields) < 6 || fields[0] != strconv.FormatUint(id, 10) {
			continue
		}
		rest := append(strings.Fields(tail), "", "", "")
		m := Mount{Point: unescape(fields[4]), Type: rest[0], Source: unescape(rest[1])}
		if rest[2] != "" {
			m.Options = strings.Split(rest[2], ",")
		}
		return m, true
	}
	return Mount{}, false
}

// unescape decodes the octal escapes of mountinfo: of space, tab, newline and backslash.
func unescape(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n, err := strconv.ParseUint(after[:min(3, len(after))], 8, 8)
		if err != nil || len(after) < 3 {
			b.WriteByte('\\')
			s = after
			continue
		}
		b.WriteByte(byte(n))
		s = after[3:]
	}
}

// ID is the id of an open file's mount, which also differs between two mounts of one file
// system. It is 0 where neither statx(2) nor /proc contains it.
func ID(fd int) uint64 {
	var st unix.Statx_t // zero where a FUSE file system of another account refuses statx(2)
	_ = unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st)
	if st.Mask&unix.STATX_MNT_ID != 0 {
		return st.Mnt_id
	}
	return idByProc(fd)
}

func idByProc(fd int) uint64 {
	text, err := procfs.Read("/proc/self/fdinfo/" + strconv.Itoa(fd))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			id, _ := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
			return id
		}
	}
	return 0
}

const (
	fuseControl      = "/sys/fs/fuse/connections"
	fuseControlMagic = 0x65735543 // FUSE_CTL_SUPER_MAGIC of linux/magic.h
)

// Mounter returns the account that mounted the FUSE file system of an open file, by the
// device number of its stat(2); ok is false for other file systems. The daemon of that
// account controls the owners and modes that the file system shows.
//
// The kernel lists FUSE connections by device; the owner of an entry is the account that
// mounted the file system (Documentation/filesystems/fuse.rst). Where that list is not
// mounted, the mount table contains the same.
func Mounter(fd int, device uint64) (uid uint32, ok bool) {
	if unix.Major(device) != 0 {
		return 0, false // on a block device, which only root can mount
	}
	var control unix.Statfs_t
	err := unix.Statfs(fuseControl, &control)
	switch {
	case errors.Is(err, unix.ENOENT):
		return 0, false // the kernel has no FUSE
	case control.Type == fuseControlMagic:
		var st unix.Stat_t
		err := unix.Stat(fuseControl+"/"+strconv.FormatUint(uint64(unix.Minor(device)), 10), &st)
		return st.Uid, err == nil
	}
	m, found := ofFile(fd)
	if !found {
		return 0, false
	}
	return m.mounter()
}

// mounter parses the user_id option of a FUSE mount.
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
