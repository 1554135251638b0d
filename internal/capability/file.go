package capability

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// The extended attribute with a file's capabilities: struct vfs_cap_data of
// linux/capability.h. Its first number has the revision and the effective flag.
const (
	fileAttribute = "security.capability"
	revisionMask  = 0xff000000
	revision1     = 0x01000000
	revision2     = 0x02000000
	revision3     = 0x03000000 // revision 2 and the root uid of a user namespace
	effectiveFlag = 0x000001
)

// FileSet returns the capabilities that executing a file gives: its permitted ones if
// the effective flag is set. A file without capabilities has the empty set.
func FileSet(path string) (Set, error) {
	text := make([]byte, 24)
	n, err := unix.Getxattr(path, fileAttribute, text)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return Set{}, nil
	}
	if err != nil {
		return Set{}, err
	}
	return parseFile(text[:n])
}

// parseFile reads the permitted sets; each is followed by an inheritable one.
func parseFile(text []byte) (s Set, err error) {
	words := make([]uint32, len(text)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(text[4*i:])
	}
	if len(words) < 3 || words[0]&effectiveFlag == 0 {
		return Set{}, nil
	}
	switch revision := words[0] & revisionMask; {
	case revision == revision1:
		return Set{words[1]}, nil
	case (revision == revision2 || revision == revision3) && len(words) >= 5:
		return Set{words[1], words[3]}, nil
	}
	return Set{}, errors.New("the file's capabilities have an unknown form")
}
