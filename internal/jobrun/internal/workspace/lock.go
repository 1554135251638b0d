package workspace

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockCommand is F_OFD_SETLK or F_OFD_GETLK of fcntl(2), which never waits. An open
// file description lock ends with the last process that has the file open, over NFS
// too, and so cannot go stale.
//
// Where the kernel or the file system does not have them, the process's own lock
// serves: a process never opens a file of claims again while it holds a lock on it.
func lockCommand(file *os.File, command int, lock *unix.Flock_t) error {
	err := unix.FcntlFlock(file.Fd(), command, lock)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	process := map[int]int{unix.F_OFD_SETLK: unix.F_SETLK, unix.F_OFD_GETLK: unix.F_GETLK}
	return unix.FcntlFlock(file.Fd(), process[command], lock)
}
