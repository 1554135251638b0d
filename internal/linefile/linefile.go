// Package linefile appends to files of lines that several processes write.
package linefile

import "os"

// Append appends whole lines by one write. A full disk may have left an incomplete line at
// the end of the file, which must not swallow the first of them: it is ended first. A line
// that another process is writing may look incomplete, because the size of a file grows page
// by page; then an empty line follows it.
func Append(file *os.File, lines []byte) (n int, err error) {
	if endsInsideLine(file) {
		lines = append([]byte{'\n'}, lines...)
	}
	return file.Write(lines)
}

// endsInsideLine reports whether a file ends inside a line. One that cannot be read does
// not: the write has a better error.
func endsInsideLine(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	var last [1]byte
	_, err = file.ReadAt(last[:], info.Size()-1)
	return err == nil && last[0] != '\n'
}
