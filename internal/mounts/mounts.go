// Package mounts finds the mount that a file is on.
package mounts

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is a line of proc_pid_mountinfo(5).
type Mount struct {
	Point  string // the directory that it is mounted on
	Type   string // of the file system: "ext4", "nfs4", "fuse.sshfs"
	Source string // the device, or the address of the file server
	// Options are those of the file system, such as user_id=1000 of FUSE.
	Options []string
}

// Of returns the mount of path, or where there is no such file yet of the nearest
// directory above it. A mount that cannot be found has the path as its point and
// nothing else.
func Of(path string) Mount {
	unknown := Mount{Point: path}
	fd, err := OpenNearest(path)
	if err != nil {
		return unknown
	}
	defer unix.Close(fd)
	if m, ok := OfFile(fd); ok {
		return m
	}
	return unknown
}

// OfFile returns the mount of an open file. It reads the whole mount table; ok is
// false where /proc does not show it.
func OfFile(fd int) (m Mount, ok bool) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, false
	}
	return find(string(table), ID(fd))
}

// OpenNearest opens path, or where there is no such file yet the nearest directory
// above it (O_PATH).
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
		fields := strings.Fields(line)
		if len(fields) < 7 || fields[0] != strconv.FormatUint(id, 10) {
			continue
		}
		m := Mount{Point: unescape(fields[4])}
		for i, f := range fields {
			if i < 6 || f != "-" {
				continue
			}
			rest := append(fields[i+1:], "", "", "")
			m.Type, m.Source = rest[0], unescape(rest[1])
			if rest[2] != "" {
				m.Options = strings.Split(rest[2], ",")
			}
			break
		}
		return m, true
	}
	return Mount{}, false
}

// unescape undoes the octal escapes of mountinfo: of space, tab, newline and
// backslash.
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

// ID is the number of an open file's mount, which differs also between two mounts
// of one file system. It is 0 where neither statx(2) nor /proc gives it.
func ID(fd int) uint64 {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st)
	if err == nil && st.Mask&unix.STATX_MNT_ID != 0 {
		return st.Mnt_id
	}
	return idByProc(fd) // before Linux 5.8
}

func idByProc(fd int) uint64 {
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd))
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
