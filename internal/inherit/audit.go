package inherit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/procfs"
)

// The login uid is the thread's, the score the process's.
const (
	loginUID = "/proc/thread-self/loginuid"
	oomScore = "/proc/self/oom_score_adj"
)

// unset is a loginuid that was not set (pam_loginuid(8)). Then any process may
// set its own, to any account.
const unset = "4294967295"

// setLoginUID makes the job's audit records those of its account. The kernel may
// refuse to change one that is set already: without CAP_AUDIT_CONTROL, or
// because the site has locked them (auditctl --loginuid-immutable).
func setLoginUID(t *Thread, s *Start) error {
	own := strconv.FormatUint(uint64(t.uid), 10)
	was, err := readOwn(loginUID)
	if err != nil {
		return nil //nolint:nilerr // a kernel without audit
	}
	if was == own {
		s.LoginUID = true
		return nil
	}
	if t.login == nil {
		file, err := asOwner(loginUID)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		t.login = file
	}
	defer t.login.Close()
	if _, err := t.login.WriteString(own); err != nil && !errors.Is(err, unix.EPERM) {
		return err
	}
	now, err := readOwn(loginUID)
	s.LoginUID = now == own
	return err
}

func verifyLoginUID(s Start, uid job.UID) error {
	if !s.LoginUID {
		return nil
	}
	is, err := readOwn(loginUID)
	if err == nil && is != strconv.FormatUint(uint64(uid), 10) {
		err = fmt.Errorf("it is %s, not %d", is, uid)
	}
	return err
}

// raiseOOMScore takes a protection from the memory killer away. With
// CAP_SYS_RESOURCE it also forbids to lower the score again.
func raiseOOMScore(*Thread, *Start) error {
	score, err := oomScoreOf()
	if err != nil {
		return err
	}
	if score >= 0 {
		return nil
	}
	file, err := asOwner(oomScore)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString("0")
	return err
}

func verifyOOMScore(Start, job.UID) error {
	score, err := oomScoreOf()
	if err == nil && score < 0 {
		err = fmt.Errorf("it is %d", score)
	}
	return err
}

func oomScoreOf() (int, error) {
	text, err := readOwn(oomScore)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func readOwn(file string) (string, error) {
	text, err := procfs.Read(file)
	return strings.TrimSpace(string(text)), err
}

func openOwn(file string) (*os.File, error) { return os.OpenFile(file, os.O_WRONLY, 0) }

// asOwner opens a file of this thread or process in /proc. Those of a program with file
// capabilities are root's: CAP_SETUID lets the thread be root for file systems
// alone (setfsuid(2)), and for this one call.
func asOwner(name string) (*os.File, error) {
	file, err := openOwn(name)
	if !errors.Is(err, fs.ErrPermission) {
		return file, err
	}
	if held, _ := capability.Effective(); !held.Has(unix.CAP_SETUID) { // none where they cannot be read
		return nil, err
	}
	was, err := unix.SetfsuidRetUid(0)
	if err != nil {
		return nil, err
	}
	file, err = openOwn(name)
	_, back := unix.SetfsuidRetUid(was)
	// The kernel has set it to fs.suid_dumpable with the change of ids.
	return file, errors.Join(err, back, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}
