package job

import (
	"fmt"
	"strconv"
)

// ID is the number GitLab gives a CI job, a pipeline, a project or a user.
// It is positive; GitLab's database keeps it in a signed 64-bit column.
type ID int64

// ParseID reads an ID in the one decimal spelling GitLab uses: no sign, no
// leading zero, no spaces.
func ParseID(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%q is not a GitLab id", Clip(s))
	}
	return ID(n), nil
}

// String returns the decimal form.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// noID is the value -1 which setresuid(2) and chown(2) read as "leave
// unchanged"; a process that used it as an id would keep its privileges.
const noID = 1<<32 - 1

// UID is a Linux user id that can be given to setresuid(2).
type UID uint32

// GID is a Linux group id that can be given to setresgid(2).
type GID uint32

// ParseUID reads a decimal user id, as written in passwd(5).
func ParseUID(s string) (UID, error) {
	n, err := parseKernelID(s)
	return UID(n), err
}

// ParseGID reads a decimal group id, as written in group(5).
func ParseGID(s string) (GID, error) {
	n, err := parseKernelID(s)
	return GID(n), err
}

func parseKernelID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == noID || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("%q is not a user or group id", Clip(s))
	}
	return uint32(n), nil
}
