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
	revision3     = 0x03000000 // of a user namespace's root; the same up to its end
	effectiveFlag = 0x000001
)

// OfFile returns the capabilities that executing a file gives at once: those that are
// permitted and effective. A file without any has the empty set.
func OfFile(path string) (Set, error) {
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

// parseFile reads permitted and inheritable sets, which take turns.
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
