package site

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// ServeAs makes the runner an ordinary service account whose jacamar-auth has
// the file capabilities setuid and setgid and can be run by no other account, and
// whose state is the helper account's: the package with capabilities.
func (s *Site) ServeAs(name string) error {
	account, err := LookupAccount(name)
	if err != nil {
		return err
	}
	bin := filepath.Join(s.Dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	auth, admin, keys := filepath.Join(bin, "jacamar-auth"), filepath.Join(bin, "jacamar-admin"), filepath.Join(bin, "jacamar-keys")
	err = errors.Join(copyProgram(auth, s.Auth), copyProgram(admin, s.Admin), copyProgram(keys, filepath.Join(filepath.Dir(s.Auth), "jacamar-keys")),
		os.Chmod(admin, 0o755), os.Chmod(keys, 0o711))
	if err != nil {
		return err
	}
	// Capabilities last: chown removes them.
	if err := errors.Join(os.Chown(auth, 0, int(account.GID)), os.Chmod(auth, 0o750)); err != nil {
		return err
	}
	if err := unix.Setxattr(auth, "security.capability", capabilities(unix.CAP_SETUID, unix.CAP_SETGID), 0); err != nil {
		return fmt.Errorf("cannot give %s its capabilities: %w", auth, err)
	}
	s.Auth, s.Admin = auth, admin
	helper, err := LookupAccount(s.Accounts.Helper)
	if err != nil {
		return err
	}
	s.stateOwner = &helper
	return s.serveAs(account)
}

// capabilities is the extended attribute for permitted and effective ones
// (struct vfs_cap_data, revision 2, of linux/capability.h).
func capabilities(caps ...uint) []byte {
	const revision2, effective = 0x02000000, 0x01
	var permitted uint32
	for _, c := range caps {
		permitted |= 1 << c
	}
	b := binary.LittleEndian.AppendUint32(nil, revision2|effective)
	b = binary.LittleEndian.AppendUint32(b, permitted)
	return append(b, make([]byte, 12)...)
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	// A child that another goroutine starts meanwhile would keep the file open for
	// writing until its execve: such a program cannot be executed (ETXTBSY).
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
