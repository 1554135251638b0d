package inherit

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// leaveSessionKeyring keeps the keys of the runner's service out of jacamar, whose
// threads would all possess them. An ordinary service account has a small quota of
// keyrings (keyrings(7)), which one for each stage would use up; jacamar's own
// keyring is what the job has in any case.
func leaveSessionKeyring(*Thread, *Start) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return without(joinSessionKeyring())
}

// joinSessionKeyring is what pam_keyinit(8) does at a login. A session keyring is
// possessed by the process that inherits it: in the one of the service every job would read,
// replace and revoke the keys of all others.
func joinSessionKeyring() error {
	if _, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot join a session keyring: %w", err)
	}
	return nil
}

// settleKeyring joins a session keyring of the account's, in which its user keyring
// is found, and has requested keys go where they go by default.
func settleKeyring() error {
	if err := joinSessionKeyring(); err != nil {
		return without(err)
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_LINK, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_SESSION_KEYRING, 0, 0); err != nil {
		return fmt.Errorf("cannot link the user keyring: %w", err)
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_SET_REQKEY_KEYRING, unix.KEY_REQKEY_DEFL_DEFAULT, 0, 0, 0); err != nil {
		return fmt.Errorf("cannot reset the keyring for requested keys: %w", err)
	}
	return nil
}

// without accepts that there are no keyrings, here or, by a filter that the job has
// as well, for anything in this container.
func without(err error) error {
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// verifyKeyring compares the owner of the session keyring with the account.
func verifyKeyring(_ Start, uid job.UID) error {
	text, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, unix.KEY_SPEC_SESSION_KEYRING)
	if err != nil {
		return without(err)
	}
	return judgeKeyring(text, uid)
}

// judgeKeyring reads "keyring;UID;GID;PERMISSIONS;NAME" (keyctl_describe(3)).
func judgeKeyring(text string, uid job.UID) error {
	fields := strings.Split(text, ";")
	if len(fields) < 2 || fields[1] != strconv.FormatUint(uint64(uid), 10) {
		return fmt.Errorf("it belongs to another account than %d: %q", uid, text)
	}
	return nil
}
