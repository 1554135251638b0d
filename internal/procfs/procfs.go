// Package procfs reads small files of the kernel.
package procfs

import (
	"io/fs"
	"math"

	"golang.org/x/sys/unix"
)

// Read returns the content of a file of proc(5) or sysfs(5), of which a stage reads some
// twenty. It does without what os.ReadFile does for files that can wait, such as pipes:
// seven system calls and a finalizer. Errors are those of os.ReadFile.
func Read(name string) ([]byte, error) { return ReadMost(name, math.MaxInt) }

// MaxEnviron bounds proc_pid_environ(5), in bytes: what execve(2) passes is at most 6 MiB. A
// process can declare any part of its memory as its environment (PR_SET_MM in prctl(2)).
const MaxEnviron = 8 << 20

// ReadMost is Read for a file whose size another account controls: it returns the first bytes, at
// most so many.
func ReadMost(name string, most int) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	text := make([]byte, 0, 1024)
	for {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := unix.Read(fd, text[len(text):min(cap(text), most)])
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, &fs.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			return text, nil
		default:
			text = text[:len(text)+n]
		}
	}
}
