package process

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memory returns a file without a name that has content, and whose offset is its
// beginning. It is on no disk, and a shell reads a file in blocks, where it would read a
// pipe byte by byte.
func Memory(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot create a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if _, err := file.WriteAt(content, 0); err != nil {
		file.Close()
		return nil, fmt.Errorf("cannot write a file in memory: %w", err)
	}
	return file, nil
}
