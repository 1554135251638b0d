package privdrop

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

func account(t *testing.T, name string, uid uint32, groups ...job.GID) job.Account {
	t.Helper()
	u, err := job.ParseUsername(name)
	if err != nil {
		t.Fatal(err)
	}
	return job.Account{Name: u, UID: job.UID(uid), GID: job.GID(uid + 1), Groups: groups}
}

func program(t *testing.T, path string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlans(t *testing.T) {
	own := uint32(os.Geteuid())
	for name, c := range map[string]struct {
		strategy settings.Downscope
		account  job.Account
		argv     []string
		as       string // "" = unchanged
	}{
		"setuid":                {settings.Setuid, account(t, "alice", 5001, 7, 8), []string{"/x/jacamar", "run"}, "5001 5002 [7 8]"},
		"setuid without groups": {settings.Setuid, account(t, "alice", 5001), []string{"/x/jacamar", "run"}, "5001 5002 []"},
		"sudo":                  {settings.Sudo, account(t, "alice", 5001), []string{"/usr/bin/sudo", "-n", "-H", "-u", "alice", "--", "/x/jacamar", "run"}, ""},
		"sudo to a directory's": {settings.Sudo, account(t, `DOM\al.ice@site`, 5001), []string{"/usr/bin/sudo", "-n", "-H", "-u", `DOM\al.ice@site`, "--", "/x/jacamar", "run"}, ""},
		"none":                  {settings.None, account(t, "me", own), []string{"/x/jacamar", "run"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Launcher{Strategy: c.strategy, Jacamar: program(t, "/x/jacamar")}.plan(c.account, job.Run)
			if err != nil && (c.strategy == settings.None || os.Geteuid() == 0) {
				t.Fatal(err)
			}
			if !slices.Equal(p.argv, c.argv) {
				t.Errorf("%q, want %q", p.argv, c.argv)
			}
			as := ""
			if p.as != nil {
				as = fmt.Sprint(p.as.Uid, p.as.Gid, p.as.Groups)
				if p.as.Groups == nil || p.as.NoSetGroups {
					t.Error("the groups of this process would be kept")
				}
			}
			if as != c.as {
				t.Errorf("as %q, want %q", as, c.as)
			}
		})
	}
}

// TestNoFallback: an impossible strategy is a refusal; no other is tried.
func TestNoFallback(t *testing.T) {
	_, err := Launcher{Strategy: settings.None}.plan(account(t, "other", uint32(os.Geteuid())+1), job.Run)
	if err == nil || failure.KindOf(err) != failure.System {
		t.Errorf("another account without a change of account: %v", err)
	}
	for _, s := range []settings.Downscope{"", "su", "SETUID", "root"} {
		if p, err := (Launcher{Strategy: s}).plan(account(t, "me", uint32(os.Geteuid())), job.Run); failure.KindOf(err) != failure.Config || p.argv != nil {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
	if os.Geteuid() == 0 {
		return
	}
	_, err = Launcher{Strategy: settings.Setuid}.plan(account(t, "other", 5001), job.Run)
	if err == nil || !strings.Contains(err.Error(), "lacks CAP_SETUID and CAP_SETGID") {
		t.Errorf("setuid without a privilege: %v", err)
	}
}

// TestNoTerminal replaces each descriptor in turn by a terminal.
func TestNoTerminal(t *testing.T) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("cannot make a terminal: %v", err)
	}
	defer unix.Close(master)
	for fd := range 3 {
		was, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Dup2(master, fd); err != nil {
			t.Fatal(err)
		}
		refusal := checkNoTerminal()
		if err := unix.Dup2(was, fd); err != nil {
			t.Fatal(err)
		}
		unix.Close(was)
		if refusal == nil || !strings.Contains(refusal.Error(), fmt.Sprintf("descriptor %d is a terminal", fd)) {
			t.Errorf("descriptor %d: %v", fd, refusal)
		}
	}
	if err := checkNoTerminal(); err != nil {
		t.Skipf("the tests run on a terminal: %v", err)
	}
}

func TestMaySudo(t *testing.T) {
	if _, err := os.Stat(SudoPath); err != nil {
		if got := maySudo(); got == nil || !strings.Contains(got.Error(), "cannot be used") {
			t.Errorf("without sudo: %v", got)
		}
		return
	}
	if err := maySudo(); err != nil {
		t.Errorf("with sudo: %v", err)
	}
	_, err := inherit.NewThread().Run(func(*inherit.Thread) (int, error) {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return 0, err
		}
		return 0, maySudo()
	})
	if err == nil || !strings.Contains(err.Error(), "NoNewPrivileges=") {
		t.Errorf("without new privileges: %v", err)
	}
}

func TestCheckSudo(t *testing.T) {
	for _, c := range []struct {
		owner, mode uint32
		noNewPrivs  bool
		want        string
	}{
		{0, unix.S_ISUID | 0o755, false, ""},
		{0, 0o755, false, "not owned by root or has no setuid bit"},
		{1000, unix.S_ISUID | 0o755, false, "not owned by root or has no setuid bit"},
		{1000, 0o755, false, "not owned by root or has no setuid bit"},
		{0, unix.S_ISUID | 0o755, true, "no_new_privs is set"},
	} {
		err := checkSudo(c.owner, c.mode, c.noNewPrivs)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("owner %d, mode %o, no_new_privs %v: %v, want %q", c.owner, c.mode, c.noNewPrivs, err, c.want)
		}
	}
}

func TestFirstError(t *testing.T) {
	ran := 0
	yes := func() error { ran++; return nil }
	no := func() error { ran++; return os.ErrPermission }
	if err := firstError(yes, no, yes); err != os.ErrPermission || ran != 2 {
		t.Errorf("%v after %d", err, ran)
	}
	if err := firstError(yes, yes); err != nil {
		t.Error(err)
	}
}

func TestCheckSuidDumpable(t *testing.T) {
	for _, tt := range []struct {
		text    string
		err     error
		refused bool
	}{
		{"0\n", nil, false},
		{"1\n", nil, true},
		{"2\n", nil, false},
		{"", nil, false},
		{"", fs.ErrNotExist, false},
		{"", fs.ErrPermission, true},
	} {
		if err := checkSuidDumpable([]byte(tt.text), tt.err); (err != nil) != tt.refused {
			t.Errorf("%q %v: %v", tt.text, tt.err, err)
		}
	}
	if err := CheckSuidDumpable(); err != nil {
		t.Errorf("on this machine: %v", err)
	}
}
