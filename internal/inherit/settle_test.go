package inherit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/job"
)

// TestKeyringIsANewOne: what the thread had is out of its reach, and it has one of
// its own with the user keyring in it.
func TestKeyringIsANewOne(t *testing.T) {
	err := onThread(func() error {
		if err := joinSessionKeyring(); err != nil {
			if without(err) == nil {
				t.Skipf("there are no keyrings: %v", err)
			}
			return err
		}
		secret, err := unix.AddKey("user", "inherit:secret", []byte("of the service"), unix.KEY_SPEC_SESSION_KEYRING)
		if err != nil {
			return err
		}
		before, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		if err != nil {
			return err
		}
		if err := Settle(Start{}, own); err != nil {
			return err
		}
		after, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		if err != nil || after == before {
			t.Errorf("the keyring is %d, and was %d: %v", after, before, err)
		}
		if found, err := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", "inherit:secret", 0); !errors.Is(err, unix.ENOKEY) {
			t.Errorf("the service's key %d is found as %d: %v", secret, found, err)
		}
		user, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_KEYRING, false)
		if err != nil {
			return err
		}
		listed := make([]byte, 64)
		n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, unix.KEY_SPEC_SESSION_KEYRING, listed, 0)
		if err != nil || n != 4 || int(int32(uint32(listed[0])|uint32(listed[1])<<8|uint32(listed[2])<<16|uint32(listed[3])<<24)) != user {
			t.Errorf("the keyring has %d bytes, want the user keyring alone: %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestQuotaOfKeys: a stage of an account that has as many keys as it may begins with the
// account's own session keyring.
func TestQuotaOfKeys(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be an account without keys")
	}
	const uid = 3999998 // of no account
	err := onThread(func() error {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
			return errno
		}
		if err := settleKeyring(); err != nil { // an earlier stage
			return err
		}
		if _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false); err != nil {
			t.Skipf("there are no keyrings: %v", err)
		}
		for n := 0; joinSessionKeyring() == nil; n++ { // the thread's keyring has all the keys, and ends with it
			if _, err := unix.AddKey("user", strconv.Itoa(n), []byte("x"), unix.KEY_SPEC_THREAD_KEYRING); err != nil && !errors.Is(err, unix.EDQUOT) {
				return err
			}
		}
		before, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		if err != nil {
			return err
		}
		if err := settleKeyring(); err != nil {
			return err
		}
		after, err1 := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		users, err2 := unix.KeyctlGetKeyringID(unix.KEY_SPEC_USER_SESSION_KEYRING, false)
		if after == before || after != users {
			t.Errorf("the session keyring is %d and was %d, that of the user is %d", after, before, users)
		}
		return errors.Join(err1, err2)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestVerifyKeyring: the session keyring of this thread is another account's.
func TestVerifyKeyring(t *testing.T) {
	err := onThread(func() error {
		if err := Settle(Start{}, own); err != nil {
			return err
		}
		if _, err := unix.KeyctlString(unix.KEYCTL_DESCRIBE, unix.KEY_SPEC_SESSION_KEYRING); err != nil {
			t.Skipf("there are no keyrings: %v", err)
		}
		if verifyKeyring(Start{}, own+1) == nil {
			t.Error("another account's is accepted")
		}
		return verifyKeyring(Start{}, own)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSettled(t *testing.T) {
	for _, tt := range []struct {
		name           string
		settle, verify error
		want           error
	}{
		{"both succeed", nil, nil, nil},
		{"settle fails", unix.EPERM, nil, unix.EPERM},
		{"verify fails", nil, unix.EACCES, unix.EACCES},
		{"both fail", unix.EPERM, unix.EACCES, unix.EPERM},
	} {
		a := Attribute{settle: func() error { return tt.settle }, verify: func(Start, job.UID) error { return tt.verify }}
		if err := a.settled(Start{}, 0); err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if a.verify = nil; a.settled(Start{}, 0) != tt.settle {
			t.Errorf("%s, nothing to verify", tt.name)
		}
		if a.settle = nil; a.settled(Start{}, 0) != nil {
			t.Errorf("%s, nothing to settle", tt.name)
		}
	}
}

func TestOrdinary(t *testing.T) {
	for _, tt := range []struct {
		dumpable, euid int
		want           bool
	}{{1, 1000, true}, {0, 1000, false}, {2, 1000, false}, {1, 0, false}, {0, 0, false}} {
		if got := ordinary(tt.dumpable, tt.euid); got != tt.want {
			t.Errorf("dumpable %d, euid %d: %v", tt.dumpable, tt.euid, got)
		}
	}
}

func TestJudgeKeyring(t *testing.T) {
	for text, want := range map[string]bool{
		"keyring;1011;1011;3f030000;_ses": true, "keyring;1011;0;3f030000;_ses": true, "keyring;0;0;3f030000;_ses": false,
		"keyring;10110;1011;3f030000;_ses": false, "keyring;101;1011;3f030000;_ses": false, "keyring": false, "": false, ";1011": true,
	} {
		if got := judgeKeyring(text, 1011) == nil; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestWithoutKeyrings(t *testing.T) {
	for err, want := range map[error]bool{unix.ENOSYS: true, unix.EPERM: true, unix.EDQUOT: false, unix.ENOMEM: false, unix.EKEYREVOKED: false} {
		if got := without(err) == nil; got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if without(nil) != nil {
		t.Error("no error is one")
	}
}

// TestOnlyRootLeavesTheKeyringEarly: an ordinary account's quota is for one keyring
// a stage, which jacamar makes.
func TestOnlyRootLeavesTheKeyringEarly(t *testing.T) {
	err := onThread(func() error {
		if err := without(joinSessionKeyring()); err != nil {
			return err
		}
		before, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		if err != nil {
			t.Skipf("there are no keyrings: %v", err)
		}
		if err := leaveSessionKeyring(nil, nil); err != nil {
			return err
		}
		after, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		if left := after != before; left != (os.Geteuid() == 0) {
			t.Errorf("as uid %d it was left: %v", os.Geteuid(), left)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestMemoryModes are of the whole process, which has none other than it began with.
func TestMemoryModes(t *testing.T) {
	for _, m := range memoryModes {
		if _, err := unix.PrctlRetInt(m.get, 0, 0, 0, 0); err != nil {
			t.Logf("option %d: %v", m.get, err)
			continue
		}
		if err := unix.Prctl(m.set, 1, 0, 0, 0); err != nil {
			t.Errorf("option %d: %v", m.set, err)
		}
		if is, err := unix.PrctlRetInt(m.get, 0, 0, 0, 0); err != nil || is == 0 {
			t.Errorf("option %d is %d: %v", m.get, is, err)
		}
	}
	if err := resetMemoryModes(); err != nil {
		t.Error(err)
	}
	for _, m := range memoryModes {
		if is, err := unix.PrctlRetInt(m.get, 0, 0, 0, 0); err == nil && is != 0 {
			t.Errorf("option %d is %d", m.get, is)
		}
	}
}

// TestLoginUID sets that of a thread, which needs a privilege where it is set
// already, as it is for a user who has logged in to run this.
func TestLoginUID(t *testing.T) {
	was, err := readOwn(loginUID)
	if err != nil {
		t.Skipf("the kernel has no audit: %v", err)
	}
	held, err := holds(unix.CAP_AUDIT_CONTROL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewThread().Run(func(th *Thread) (int, error) {
		for _, uid := range []int{54321, 54321, 54322} {
			start := Start{}
			th.uid, th.login = job.UID(uid), nil
			if err := setLoginUID(th, &start); err != nil {
				return 0, err
			}
			now, err := readOwn(loginUID)
			if set := now == strconv.Itoa(uid); err != nil || set != start.LoginUID {
				t.Errorf("it is %s, and promised %v: %v", now, start.LoginUID, err)
			}
			if can := held && os.Geteuid() == 0; can && !start.LoginUID {
				t.Errorf("%s stays %s", was, now)
			}
			if err := verifyLoginUID(start, th.uid); err != nil {
				return 0, err
			}
			if start.LoginUID && verifyLoginUID(start, th.uid+1) == nil {
				t.Error("another account's is accepted")
			}
		}
		return 0, verifyLoginUID(Start{}, own+1)
	})
	if err != nil {
		t.Error(err)
	}
	if now, err := readOwn(loginUID); err != nil || now != was {
		t.Errorf("that of this thread is %s, and was %s: %v", now, was, err)
	}
}

// TestLoginUIDThatIsLocked: the kernel refuses to change one that is set, without
// CAP_AUDIT_CONTROL, and nothing is promised.
func TestLoginUIDThatIsLocked(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives a capability up")
	}
	_, err := NewThread().Run(func(th *Thread) (int, error) {
		start := Start{}
		th.uid = 54321
		if err := setLoginUID(th, &start); err != nil || !start.LoginUID {
			t.Skipf("cannot set it at all: %v", err)
		}
		if err := giveUp(unix.CAP_AUDIT_CONTROL); err != nil {
			return 0, err
		}
		th.uid, th.login = 54322, nil
		err := setLoginUID(th, &start)
		if start.LoginUID {
			t.Error("it is promised")
		}
		return 0, err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestServiceAccountWithCapabilities runs this test as an ordinary account with
// CAP_SETUID that is not dumpable, as a program with file capabilities is: its files
// in /proc are root's.
func TestServiceAccountWithCapabilities(t *testing.T) {
	const inside = "INHERIT_TEST_SERVICE"
	if os.Getenv(inside) != "" {
		asService()
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: it becomes another account")
	}
	cmd := exec.Command("/usr/bin/setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "--inh-caps=-all,+setuid", "--ambient-caps=-all,+setuid",
		"--", os.Args[0], "-test.run", "^TestServiceAccountWithCapabilities$")
	cmd.Env = []string{inside + "=1"}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "done") {
		t.Fatalf("%v: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "wrong") {
			t.Error(line)
		}
	}
}

func asService() {
	say := func(words ...string) { os.Stdout.WriteString(strings.Join(words, " ") + "\n") }
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		say("wrong:", err.Error())
	}
	was, _ := readOwn(loginUID)
	_, err := NewThread().Run(func(th *Thread) (int, error) {
		if _, err := openOwn(loginUID); err == nil {
			say("wrong: the file is not root's")
		}
		start, err := th.Shed(Start{}, 65532)
		if now, _ := readOwn(loginUID); was == unset && (now != "65532" || !start.LoginUID) {
			say("wrong: the login uid is", now)
		}
		if dumpable, _ := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); dumpable != 0 {
			say("wrong: it is dumpable again")
		}
		if status, _ := os.ReadFile("/proc/thread-self/status"); !strings.Contains(string(status), "Uid:\t65533\t65533\t65533\t65533\n") {
			say("wrong: it is root for file systems still")
		}
		return 0, err
	})
	if err != nil {
		say("wrong:", err.Error())
	}
	say("done")
}

func holds(bit uint) (bool, error) {
	held, err := capability.Effective()
	return held.Has(bit), err
}

// TestOOMScore gives this test a score below 0 that it may change: a file in the
// place of the kernel's, for which this machine's root may lack CAP_SYS_RESOURCE.
func TestOOMScore(t *testing.T) {
	const inside = "INHERIT_TEST_SCORE"
	if os.Getenv(inside) != "" {
		if verifyOOMScore(Start{}, own) == nil {
			os.Stdout.WriteString("wrong: it is accepted\n")
		}
		if os.Getenv(inside) == "start" {
			NewThread() // raises that of an ordinary process, while it can
		} else if err := raiseOOMScore(&Thread{}, nil); err != nil {
			os.Stdout.WriteString("wrong: " + err.Error() + "\n")
		}
		if err := verifyOOMScore(Start{}, own); err != nil {
			os.Stdout.WriteString("wrong: " + err.Error() + "\n")
		}
		os.Stdout.WriteString("done\n")
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a file")
	}
	for how, launcher := range map[string]string{"shed": "", "start": "setpriv --reuid=65533 --regid=65533 --clear-groups "} {
		file := filepath.Join(t.TempDir(), "score")
		if err := errors.Join(os.WriteFile(file, []byte("-500"), 0o666), os.Chmod(file, 0o666)); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("/usr/bin/unshare", "--mount", "/bin/bash", "-c",
			`mount --bind "$1" /proc/$$/oom_score_adj && exec `+launcher+`"$0" -test.run '^TestOOMScore$'`, os.Args[0], file)
		cmd.Env = []string{"PATH=/usr/bin:/bin", inside + "=" + how}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "done") || strings.Contains(string(out), "wrong") {
			t.Errorf("%s: %v: %s", how, err, out)
		}
		if text, err := os.ReadFile(file); err != nil || text[0] != '0' {
			t.Errorf("%s: it is %q: %v", how, text, err)
		}
	}
}
