package testutil

import (
	"io/fs"
	"os"
	"syscall"
)

// WriteProgram writes a file that is to be executed while other goroutines start programs, as
// in a parallel test. A process that inherited the file while it is open for writing would
// keep it open until its own execve(2), and until then it could not be executed (ETXTBSY).
func WriteProgram(name string, text []byte, mode fs.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(name, text, mode)
}
