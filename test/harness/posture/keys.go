package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// secret is the key that processes of a service share.
const secret = "posture:secret"

func keys(what string) error {
	switch what {
	case "add":
		_, err := unix.AddKey("user", secret, []byte("s3cret"), unix.KEY_SPEC_SESSION_KEYRING)
		return err
	case "find":
		_, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", secret, 0)
		fmt.Printf("found %v\n", err == nil)
		return nil
	case "own":
		id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		fmt.Printf("keyring %d, %s\n", id, keyring())
		return err
	case "revoke":
		_, err := unix.KeyctlInt(unix.KEYCTL_REVOKE, unix.KEY_SPEC_SESSION_KEYRING, 0, 0, 0)
		return err
	case "fill":
		return fill()
	case "clear":
		_, err := unix.KeyctlInt(unix.KEYCTL_CLEAR, unix.KEY_SPEC_USER_KEYRING, 0, 0, 0)
		return err
	}
	return fmt.Errorf("there is no %q", what)
}

// fill adds keys to the user keyring until the account may have no more.
func fill() error {
	for n := range 100_000 {
		switch _, err := unix.AddKey("user", fmt.Sprint("posture:", n), []byte("x"), unix.KEY_SPEC_USER_KEYRING); {
		case errors.Is(err, unix.EDQUOT):
			return nil
		case err != nil:
			return err
		}
	}
	return errors.New("no limit on the account's keys was reached")
}

// members are the keys of the session keyring.
func members() (ids []int) {
	list := make([]byte, 4096)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, unix.KEY_SPEC_SESSION_KEYRING, list, 0)
	if err != nil {
		return nil
	}
	for ; n >= 4; n -= 4 {
		ids = append(ids, int(int32(binary.NativeEndian.Uint32(list[n-4:]))))
	}
	return ids
}
