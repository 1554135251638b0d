package storage

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of proc_pid_mountinfo(5).
type mount struct{ point, source string }

// mountOf finds the mount that path is on. What cannot be found is called by the
// path itself.
func mountOf(path string) mount {
	m := mount{point: path}
	fd, err := openNearest(path)
	if err != nil {
		return m
	}
	defer unix.Close(fd)
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return m
	}
	if found, ok := findMount(string(table), MountID(fd)); ok {
		return found
	}
	return m
}

// openNearest opens path, or where there is no such thing yet the nearest
// directory above it.
func openNearest(path string) (fd int, err error) {
	for ; ; path = filepath.Dir(path) {
		fd, err = unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == nil || path == "/" || path == "." {
			return fd, err
		}
	}
}

func findMount(table string, id uint64) (mount, bool) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 7 || fields[0] != strconv.FormatUint(id, 10) {
			continue
		}
		m := mount{point: unescape(fields[4])}
		for i, f := range fields[6:] {
			if f == "-" && len(fields) > 6+i+2 {
				m.source = unescape(fields[6+i+2])
				break
			}
		}
		return m, true
	}
	return mount{}, false
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

// MountID tells mounts apart, also two of one file system. It is 0 where the
// system does not tell.
func MountID(fd int) uint64 {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st)
	if err == nil && st.Mask&unix.STATX_MNT_ID != 0 {
		return st.Mnt_id
	}
	return mountIDByProc(fd) // before Linux 5.8
}

func mountIDByProc(fd int) uint64 {
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
