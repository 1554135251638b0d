// Package linefile appends to files of lines that several processes write.
package linefile

import (
	"os"

	"golang.org/x/sys/unix"
)

// Append appends whole lines by one write. A full disk may have left an incomplete line at
// the end of the file, which must not swallow the first of them: it is ended first.
func Append(file *os.File, lines []byte) (n int, err error) {
	if endsIncomplete(file) {
		lines = append([]byte{'\n'}, lines...)
	}
	return file.Write(lines)
}

// looks bounds how often the end of a file is read that other processes write all the time.
const looks = 1000

// endsIncomplete reports whether a file ends inside a line that no process is writing. The
// length of a file grows page by page while a process writes.
func endsIncomplete(file *os.File) bool {
	size, inside := endsInsideLine(file)
	for range looks {
		if !inside {
			return false
		}
		awaitWrite(file)
		before := size
		if size, inside = endsInsideLine(file); size == before {
			return inside
		}
	}
	return false
}

// endsInsideLine returns a file's length in bytes, and reports whether it ends inside a
// line. One that cannot be read does not: the write has a better error.
func endsInsideLine(file *os.File) (size int64, inside bool) {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return 0, false
	}
	var last [1]byte
	_, err = file.ReadAt(last[:], info.Size()-1)
	return info.Size(), err == nil && last[0] != '\n'
}

// awaitWrite returns after the write that another process is making. Local file systems of
// Linux serialize the writes to a file, also those of no bytes.
func awaitWrite(file *os.File) { _, _ = unix.Write(int(file.Fd()), nil) }
