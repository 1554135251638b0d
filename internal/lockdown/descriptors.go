package lockdown

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// first is the lowest descriptor after those that every program is given.
const first = 3

// CloseOnExec sets close-on-exec on all descriptors above 2. After an error some may be without,
// and the caller must start no program.
func CloseOnExec() error {
	err := unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if isMissing(err) {
		return closeListed(list)
	}
	return err
}

// isMissing reports whether the kernel does not have the call, as before Linux 5.9, or the flag
// of it, as before 5.11. Another error is that of a filter of system calls, which is the site's to
// explain.
func isMissing(err error) bool {
	return errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL)
}

// closeListed does by one call for each descriptor what close_range(2) does by one for all.
func closeListed(list func() ([]string, error)) error {
	names, err := list()
	if err != nil {
		return fmt.Errorf("cannot list them: %w", err)
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err == nil && fd >= first {
			_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
		}
		if err != nil && !errors.Is(err, unix.EBADF) { // that of the list itself is closed
			return fmt.Errorf("descriptor %s: %w", name, err)
		}
	}
	return nil
}

// list returns the descriptors of this process. The kernel lists them by their number, so that none
// is missing because others were opened or closed meanwhile. A list of this process contains
// the descriptor that it is read by.
func list() ([]string, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err == nil && !slices.Contains(names, strconv.Itoa(int(dir.Fd()))) {
		err = errors.New(dir.Name() + " is not of this process")
	}
	return names, err
}
