package inherit

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/seccomp"
)

func dropInheritable(*Thread, *Start) error { return capability.DropInheritable() }

// clearSecureBits lets root be root again (capabilities(7)). With SECBIT_NOROOT a
// program with a setuid bit becomes uid 0 without the capability to give it up.
func clearSecureBits(_ *Thread, s *Start) error {
	bits, err := secureBits()
	if err != nil || bits == 0 {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, 0, 0, 0, 0); err != nil && !s.NoNewPrivs {
		return fmt.Errorf("they are %#x (SecureBits= in its unit?): %w", bits, err)
	}
	return nil
}

// verifySecureBits accepts any where no program gains a privilege.
func verifySecureBits(s Start, _ job.UID) error {
	bits, err := secureBits()
	if err == nil && bits != 0 && !s.NoNewPrivs {
		err = fmt.Errorf("they are %#x", bits)
	}
	return err
}

func secureBits() (int, error) { return unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0) }

// setNoNewPrivs sets it for jacamar as a whole, where the job has it.
func setNoNewPrivs(_ *Thread, s *Start) error {
	if !s.NoNewPrivs {
		return nil
	}
	return seccomp.NoNewPrivs()
}

func verifyNoNewPrivs(s Start, _ job.UID) error {
	set, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
	if err == nil && s.NoNewPrivs && set != 1 {
		err = errors.New("it is not set")
	}
	return err
}

// setFilter sets the filter without lists, which an account could not set without
// no_new_privs.
func setFilter(_ *Thread, s *Start) error {
	if !s.Filter {
		return nil
	}
	return seccomp.Filter{}.Load()
}

func verifyFilter(s Start, _ job.UID) error {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	if err == nil && s.Filter && mode != unix.SECCOMP_MODE_FILTER {
		err = errors.New("there is none")
	}
	return err
}

// emptyBounding empties the bounding set where no program gains a capability
// anyway. Elsewhere it stays whole: without CAP_SETUID in it a program with a
// setuid bit cannot give up root, and setuid(2) reports that it did.
func emptyBounding(_ *Thread, s *Start) error {
	if !s.NoBounding {
		return nil
	}
	for c := uintptr(0); ; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if beyond(c, err, unix.Prctl(unix.PR_CAPBSET_READ, c, 0, 0, 0)) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot drop capability %d: %w", c, err)
		}
	}
}

// beyond reports, by the answers to dropping and to reading it, that the kernel
// does not have capability c. One refusal alone ends no list of what is to be
// dropped.
func beyond(c uintptr, drop, read error) bool {
	return c > 0 && errors.Is(drop, unix.EINVAL) && errors.Is(read, unix.EINVAL)
}

func verifyBounding(s Start, _ job.UID) error {
	if !s.NoBounding {
		return nil
	}
	for c := uintptr(0); ; c++ {
		set, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0)
		if beyond(c, err, err) {
			return nil
		}
		if err == nil && set != 0 {
			err = fmt.Errorf("capability %d is in it", c)
		}
		if err != nil {
			return err
		}
	}
}

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

// joinUserSessionKeyring is for an account that has as many keys as the kernel allows,
// 200 by default, as some hundred stages at once need. The kernel makes one such
// keyring for each user, with the user keyring in it, for processes without a session
// keyring (user-session-keyring(7)). It is joined by its name, which another user's can
// have: verifyKeyring compares the owner.
func joinUserSessionKeyring() error {
	if _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_SESSION_KEYRING, true); err != nil {
		return err
	}
	_, err := unix.KeyctlJoinSessionKeyring("_uid_ses." + strconv.Itoa(os.Getuid()))
	return err
}

// settleKeyring joins a session keyring of the account's, in which its user keyring
// is found, and has requested keys go where they go by default.
func settleKeyring() error {
	err := joinSessionKeyring()
	switch {
	case errors.Is(err, unix.EDQUOT):
		if joinUserSessionKeyring() != nil {
			return err
		}
	case err != nil:
		return without(err)
	default:
		if _, err := unix.KeyctlInt(unix.KEYCTL_LINK, unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_SESSION_KEYRING, 0, 0); err != nil {
			return fmt.Errorf("cannot link the user keyring: %w", err)
		}
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
