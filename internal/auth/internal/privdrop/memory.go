package privdrop

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"jacamar-ci/internal/failure"
)

// suidDumpable is what the kernel makes of a process whose ids change
// (https://docs.kernel.org/admin-guide/sysctl/fs.html#suid-dumpable).
const suidDumpable = "/proc/sys/fs/suid_dumpable"

// MemoryIsClosed refuses where the kernel would let the account into this process:
// the child that becomes the account shares its memory until it executes jacamar,
// and with fs.suid_dumpable 1 whoever has that account may attach to the child. A
// jacamar that its account cannot read would be open as well.
func MemoryIsClosed() error {
	return judgeSuidDumpable(os.ReadFile(suidDumpable))
}

func judgeSuidDumpable(text []byte, err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a container's /proc has none, and the kernel's own value is 0
		return failure.Privatef("cannot read %s: %w", suidDumpable, err)
	}
	if strings.TrimSpace(string(text)) == "1" {
		return failure.Privatef("downscope is setuid, but fs.suid_dumpable is 1, with which the kernel lets an account into a program that becomes it")
	}
	return nil
}
