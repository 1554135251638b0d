package site

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

func TestAccounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make accounts")
	}
	for range 2 { // the second time finds them
		if err := ensureAll(); err != nil {
			t.Fatal(err)
		}
	}
	alice, err := LookupAccount(accountSet(0).Alice)
	if err != nil {
		t.Fatal(err)
	}
	if alice.UID < 1000 || alice.Home != "/home/"+alice.Name || len(alice.Groups) == 0 {
		t.Errorf("%+v", alice)
	}
	if runner, err := LookupAccount(accountSet(0).Runner); err != nil || runner.UID >= 1000 || runner.UID == 0 {
		t.Errorf("%+v %v: the service account is a system account", runner, err)
	}
}

// TestNoAccountInACopy: an account that is made in a copy of /etc would be missing later,
// and another account would get its ids.
func TestNoAccountInACopy(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a mount namespace")
	}
	err := inCopy(t, func() error { return ensureAccount("jci-in-a-copy", []string{"--system", "--no-create-home"}) })
	if err == nil || !strings.Contains(err.Error(), "in a copy of /etc") {
		t.Errorf("%v", err)
	}
	if err := inCopy(t, ensureAll); err != nil { // those that are there already
		t.Error(err)
	}
}

// inCopy runs f on a thread that has a copy of /etc.
func inCopy(t *testing.T, f func() error) error {
	t.Helper()
	etc := t.TempDir()
	if err := BeforeCopy(func() error { return exec.Command("cp", "-a", "/etc/.", etc).Run() }); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with its namespace
		err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount(etc, "/etc", "", unix.MS_BIND, ""))
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

func TestJobAccountIsNeverRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		testutil.Must(t, ensureAll())
	}
	a, err := accountSet(0).jobAccount()
	if err != nil {
		t.Fatal(err)
	}
	if a.UID == 0 {
		t.Errorf("jobs would run as %+v", a)
	}
}

// TestHomeIsReset: no file that a killed test has left in a home remains.
func TestHomeIsReset(t *testing.T) {
	skeleton := t.TempDir()
	a := Account{Name: "x", UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Home: t.TempDir()}
	err := errors.Join(
		os.WriteFile(skeleton+"/.bashrc", []byte("new"), 0o644), os.WriteFile(a.Home+"/.bashrc", []byte("old"), 0o400),
		os.WriteFile(a.Home+"/.bash_profile", []byte("exit 0\n"), 0o644), os.MkdirAll(a.Home+"/.jacamar-ci/scripts", 0o700),
		os.Symlink(skeleton, a.Home+"/link"), a.resetHome(skeleton),
	)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(a.Home)
	text, readable := os.ReadFile(a.Home + "/.bashrc")
	if err := errors.Join(err, readable); err != nil || len(left) != 1 || string(text) != "new" {
		t.Errorf("%v, with %q in .bashrc: %v", left, text, err)
	}
}

func TestUnknownAccount(t *testing.T) {
	if a, err := LookupAccount("jci-nobody-at-all"); err == nil {
		t.Errorf("found %+v", a)
	}
}

func TestConfigIsReplaced(t *testing.T) {
	path := t.TempDir() + "/jacamar.toml"
	c := Config{"general": {"executor": "shell"}, "auth": {"runas": Table{"sha256": "x"}}}
	c.Set("auth", "user_allowlist", []string{"a", "b"})
	c.Set("general", "executor", nil)
	c.Set("batch", "command_delay", "1s")
	if err := c.write(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[auth]\n", "user_allowlist = [\"a\", \"b\"]", "[auth.runas]", "command_delay = \"1s\""} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if strings.Contains(string(b), "executor") {
		t.Errorf("a removed key is still there:\n%s", b)
	}
}
