package diskspace

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/mounts"
)

// quota is a user's or a group's on one file system.
type quota struct {
	whose string
	space
}

// The kinds of quotactl(2).
const (
	userQuota  = 0
	groupQuota = 1
)

// quotasAt asks for the quotas that what is written at path counts against: the
// user's, and that of the directory's group.
func quotasAt(m mounts.Mount, path string) (found []quota) {
	fd, err := mounts.OpenNearest(path)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	if s, ok := quotaOf(fd, m.Source, userQuota, os.Geteuid()); ok {
		found = append(found, quota{"your quota", s})
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil {
		if s, ok := quotaOf(fd, m.Source, groupQuota, int(st.Gid)); ok {
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

// quotaOf asks by the descriptor (Linux 5.14), or else by the device.
func quotaOf(fd int, device string, kind, id int) (space, bool) {
	var q diskQuota
	command := uintptr(getQuota<<8 | kind)
	_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, uintptr(fd), command, uintptr(id), uintptr(unsafe.Pointer(&q)), 0, 0)
	if errno == unix.ENOSYS || errno == unix.EBADF {
		special, err := unix.BytePtrFromString(device)
		if err != nil {
			return space{}, false
		}
		_, _, errno = unix.Syscall6(unix.SYS_QUOTACTL, command, uintptr(unsafe.Pointer(special)), uintptr(id), uintptr(unsafe.Pointer(&q)), 0, 0)
	}
	return q.space(), errno == 0
}

// space takes the limit that stops writing: the hard one, or once it is passed
// the soft one, which counts when its time of grace is over.
func (q diskQuota) space() space {
	return space{
		bytes: use{q.bytes, limit(q.bytes, q.blockHard<<10, q.blockSoft<<10, q.blockTime)},
		files: use{q.files, limit(q.files, q.fileHard, q.fileSoft, q.fileTime)},
	}
}

func limit(used, hard, soft, grace uint64) uint64 {
	if soft != 0 && grace != 0 && (hard == 0 || used < hard) {
		return soft
	}
	return hard
}
