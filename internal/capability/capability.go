// Package capability reads and drops capabilities (capabilities(7)) and detects user
// namespaces (user_namespaces(7)).
package capability

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/procfs"
)

// Set is a set of capabilities.
type Set [2]uint32

// Has reports whether the capability, such as unix.CAP_SETUID, is in the set.
func (s Set) Has(bit uint) bool { return s[bit/32]&(1<<(bit%32)) != 0 }

// Effective returns the effective set of the calling thread.
func Effective() (Set, error) {
	data, err := ThreadSets()
	return Set{data[0].Effective, data[1].Effective}, err
}

// ThreadSets returns all sets of the calling thread in the form of capset(2).
func ThreadSets() (data [2]unix.CapUserData, err error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = unix.Capget(&head, &data[0])
	return data, err
}

// DropInheritable clears the ambient and inheritable sets of the calling thread. A
// service that was started with ambient capabilities would otherwise pass them to
// the programs that this thread starts, through the change of ids and execve(2).
func DropInheritable() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot clear the ambient capabilities: %w", err)
	}
	data, err := ThreadSets()
	if err != nil {
		return fmt.Errorf("cannot read this process's capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&head, &data[0]); err != nil {
		return fmt.Errorf("cannot clear the inheritable capabilities: %w", err)
	}
	return nil
}

// CanSwitchAccounts reports whether this process may change to other accounts of the
// machine, which other processes of its account may not. If that cannot be
// determined the result is true: an attacker who can make the query fail must not
// gain by it.
func CanSwitchAccounts() bool {
	return mayChangeIDs(Effective()) && mayBeInitial(UserNamespaceMap())
}

func mayChangeIDs(held Set, err error) bool {
	return err != nil || held.Has(unix.CAP_SETUID) || held.Has(unix.CAP_SETGID)
}

func mayBeInitial(namespace string, err error) bool { return err != nil || namespace == "" }

// UserNamespaceMap returns the id map of the user namespace that this process is in,
// "" for the initial one. In a user namespace root is not the machine's root, and a
// uid can be that of another account outside.
func UserNamespaceMap() (string, error) {
	for _, file := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		text, err := procfs.Read(file)
		if err != nil {
			return "", err
		}
		if ids := strings.Fields(string(text)); !isIdentity(ids) {
			return file + ": " + strings.Join(ids, " "), nil
		}
	}
	return "", nil
}

// isIdentity reports whether a map maps every id to itself.
func isIdentity(ids []string) bool { return slices.Equal(ids, []string{"0", "0", "4294967295"}) }

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
