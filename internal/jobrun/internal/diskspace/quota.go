package diskspace

import (
	"os"
	"path/filepath"
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

// quotasAt queries the quotas that apply to files in a directory. Where nothing can be
// opened, the descriptor is -1, of which there are none.
func quotasAt(path string) []quota {
	fd, _ := mounts.OpenNearest(path)
	defer unix.Close(fd)
	return quotasOf(fd, quotaOf)
}

// quotasOf are the user's quota and that of the directory's group, which query returns.
func quotasOf(fd int, query func(fd, kind, id int) (space, bool)) (found []quota) {
	if s, ok := query(fd, userQuota, os.Geteuid()); ok {
		found = append(found, quota{"your quota", s})
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil {
		if s, ok := query(fd, groupQuota, int(st.Gid)); ok {
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
	errno := orByDevice(func() unix.Errno {
		_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL_FD, uintptr(fd), command, uintptr(id), uintptr(unsafe.Pointer(&q)), 0, 0)
		return errno
	}, func() unix.Errno {
		_, _, errno := unix.Syscall6(unix.SYS_QUOTACTL, command, uintptr(unsafe.Pointer(device(fd))), uintptr(id), uintptr(unsafe.Pointer(&q)), 0, 0)
		return errno
	})
	return q.space(), errno == 0
}

// orByDevice is the result of the query by descriptor, unless the kernel has none, or takes
// none that was opened with O_PATH.
func orByDevice(byDescriptor, byDevice func() unix.Errno) unix.Errno {
	if errno := byDescriptor(); errno != unix.ENOSYS && errno != unix.EBADF {
		return errno
	}
	return byDevice()
}

// device is the path of the device of a file. It is absolute: the source of a mount
// without a device, such as "tmpfs", must not name a file of the job's directory.
func device(fd int) *byte {
	return &append([]byte(filepath.Join("/", mounts.OfFile(fd, "").Source)), 0)[0]
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
