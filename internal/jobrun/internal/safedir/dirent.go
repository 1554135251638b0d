package safedir

import (
	"bytes"
	"encoding/binary"
	"iter"
)

// dirent is an entry of a directory, with its d_type.
type dirent struct {
	name string
	kind byte
}

// Values of d_type (readdir(3)). Some file systems know none.
const (
	unknown   = 0
	directory = 4
)

// parse reads what getdents64(2) gives: records of an inode number, an offset
// (64 bit each), their own length (16 bit), a type and a name. Asking this way
// tells directories without a stat(2) for each entry.
func parse(buf []byte) iter.Seq[dirent] {
	const header = 19
	return func(yield func(dirent) bool) {
		for len(buf) > header {
			length := int(binary.NativeEndian.Uint16(buf[16:]))
			if length <= header || length > len(buf) {
				return
			}
			name, _, _ := bytes.Cut(buf[header:length], []byte{0})
			e := dirent{string(name), buf[18]}
			buf = buf[length:]
			if e.name == "." || e.name == ".." {
				continue
			}
			if !yield(e) {
				return
			}
		}
	}
}
