package diskspace

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/mounts"
)

// quota is the quota of a user or a group on one file system.
type quota struct {
	owner string
	space
}

// The kinds of quotactl(2).
const (
	userQuota  = 0
	groupQuota = 1
)

// quotasAt is quotasOf for a path.
func quotasAt(path string) []quota {
	fd, err := mounts.OpenNearest(path)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	return quotasOf(fd)
}

// quotasOf queries the quotas that apply to files in a directory: the user's, and that of
// the directory's group.
func quotasOf(fd int) (found []quota) {
	if s, ok := quotaOf(fd, userQuota, os.Geteuid()); ok {
		found = append(found, quota{"your quota", s})
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil {
		if s, ok := quotaOf(fd, groupQuota, int(st.Gid)); ok {
			found = append(found, quota{"your group's quota", s})
		}
	}
	return found
}

// diskQuota is struct if_dqblk of linux/quota.h; its block limits are in KiB.
type diskQuota struct {
	blockHard, blockSoft, bytes uint64
	fileHard, fileSoft, files   uint64
	blockTime, fileTime         uint64
	valid                       uint32
	_                           uint32
}

const getQuota = 0x800007 // Q_GETQUOTA

// quotaOf queries by descriptor (Linux 5.14), or else by device.
func quotaOf(fd, kind, id int) (space, bool) {
	var q diskQuota
	command := uintptr(getQuota<<8 | kind)
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, uintptr(fd), command, uintptr(id), uintptr(unsafe.Pointer(&q)), 0, 0)
	if errno == unix.ENOSYS || errno == unix.EBADF {
		special, err := unix.BytePtrFromString(mounts.OfFile(fd, "").Source)
		if err != nil {
			return space{}, false
		}
		_, _, errno = unix.Syscall6(unix.SYS_QUOTACTL, command, uintptr(unsafe.Pointer(special)), uintptr(id), uintptr(unsafe.Pointer(&q)), 0, 0)
	}
	return q.space(), errno == 0
}

// space uses the limit that prevents writing: the hard one; or the soft one when it is
// exceeded, which takes effect after its grace time.
func (q diskQuota) space() space {
	return space{
		bytes: usage{q.bytes, limit(q.bytes, q.blockHard<<10, q.blockSoft<<10, q.blockTime)},
		files: usage{q.files, limit(q.files, q.fileHard, q.fileSoft, q.fileTime)},
	}
}

func limit(used, hard, soft, grace uint64) uint64 {
	if soft != 0 && grace != 0 && (hard == 0 || used < hard) {
		return soft
	}
	return hard
}
