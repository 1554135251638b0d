package privdrop

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/inherit"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/internal/settings"
)

// shows replaces jacamar by a program that prints its process attributes.
const shows = `#!/bin/bash
exec 2>&1
cat /proc/self/status
echo "core $(ulimit -Sc) $(ulimit -Hc)"
echo "nofile $(ulimit -Sn) $(ulimit -Hn)"
echo "stack $(ulimit -Ss) $(ulimit -Hs)"
echo "dir $PWD"
echo "args $*"
env | sed 's/^/env /'
echo "leader $(ps -o sid= -p $$ | tr -d ' ') $$"
read -r line
echo "read $line"
`

// launched starts that program and returns its output, by the first field of each
// line.
func launched(t *testing.T, l Launcher, start func(*Launcher) (pid int, socket *os.File, err error)) map[string]string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "jacamar")
	if err := os.WriteFile(file, []byte(shows), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l.Jacamar, l.Stdout, l.Stderr = program(t, file), w, w
	pid, socket, err := start(&l)
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := socket.WriteString("hello\n"); err != nil {
		t.Error(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		t.Error(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(text)) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, value, ok := strings.Cut(line, ":\t"); ok {
			word, rest = name, strings.Join(strings.Fields(value), " ")
		}
		got[word] += rest + ";"
	}
	return got
}

// forked starts a plan without a grant, which only the rules can create.
func forked(a job.Account) func(*Launcher) (int, *os.File, error) {
	return func(l *Launcher) (int, *os.File, error) {
		p, err := l.plan(a, job.Run)
		if err != nil {
			return 0, nil, err
		}
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, nil, err
		}
		theirs := os.NewFile(uintptr(pair[1]), "theirs")
		defer theirs.Close()
		pid, _, err := l.fork(p, theirs)
		return pid, os.NewFile(uintptr(pair[0]), "ours"), err
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another account")
	}
	if err := checkNoTerminal(); err != nil {
		t.Skipf("the tests themselves run at a terminal: %v", err)
	}
}

var core = unix.Rlimit{Cur: 4096, Max: unix.RLIM_INFINITY}

func TestStartAsAccount(t *testing.T) {
	needRoot(t)
	l := Launcher{Strategy: settings.Setuid, Core: core, Filter: true}
	got := launched(t, l, forked(account(t, "alice", 5001, 7, 8)))
	for name, want := range map[string]string{
		"Uid": "5001 5001 5001 5001;", "Gid": "5002 5002 5002 5002;", "Groups": "7 8;",
		"CapInh": "0000000000000000;", "CapPrm": "0000000000000000;", "CapEff": "0000000000000000;", "CapAmb": "0000000000000000;",
		"SigBlk": "0000000000000000;", "NoNewPrivs": "0;",
		"core": "4 unlimited;", "dir": "/;", "args": "run;", "read": "hello;",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if leader := strings.Fields(got["leader"]); len(leader) != 2 || leader[0]+";" != leader[1] {
		t.Errorf("the session is not its own: %q", got["leader"])
	}
	for _, pair := range strings.Split(strings.TrimSuffix(got["env"], ";"), ";") {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.Contains(" PATH GOMAXPROCS GOTRACEBACK PWD SHLVL _ ", " "+name+" ") {
			t.Errorf("it has the variable %s", pair)
		}
	}
}

// TestBoundingSet: without no_new_privs it is unchanged, with it emptied if possible.
func TestBoundingSet(t *testing.T) {
	needRoot(t)
	held, err := capability.Effective()
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, whole, _ := strings.Cut(line(own, "CapBnd"), "\t")
	for name, c := range map[string]struct {
		launcher   Launcher
		bounding   string
		noNewPrivs string
		filter     string
	}{
		"nothing": {Launcher{}, whole, "0", "0"},
		"filter":  {Launcher{Filter: true}, whole, "0", "2"},
		"flag":    {Launcher{NoNewPrivs: true}, strings.Repeat("0", 16), "1", "0"},
	} {
		if name == "flag" && !held.Has(unix.CAP_SETPCAP) {
			c.bounding = whole
		}
		if !held.Has(unix.CAP_SYS_ADMIN) {
			c.filter = "0"
		}
		c.launcher.Strategy, c.launcher.Core = settings.Setuid, core
		got := launched(t, c.launcher, forked(account(t, "alice", 5001)))
		if got["CapBnd"] != c.bounding+";" || got["NoNewPrivs"] != c.noNewPrivs+";" || got["Seccomp"] != c.filter+";" {
			t.Errorf("%s: bounding set %q, no_new_privs %q, filter %q", name, got["CapBnd"], got["NoNewPrivs"], got["Seccomp"])
		}
	}
}

// TestStartSettings: the settings are those that this process can apply, none for
// sudo.
func TestStartSettings(t *testing.T) {
	held, err := capability.Effective()
	if err != nil {
		t.Fatal(err)
	}
	all := Launcher{Filter: true, NoNewPrivs: true}
	for strategy, want := range map[settings.Downscope]inherit.Start{
		settings.Sudo:   {Sudo: true},
		settings.None:   {NoNewPrivs: true},
		settings.Setuid: {NoNewPrivs: true, Filter: held.Has(unix.CAP_SYS_ADMIN), NoBounding: held.Has(unix.CAP_SETPCAP)},
	} {
		all.Strategy = strategy
		if got, err := all.startSettings(); err != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", strategy, got, err, want)
		}
	}
	if got, err := (Launcher{Strategy: settings.Setuid}).startSettings(); err != nil || got != (inherit.Start{}) {
		t.Errorf("nothing asked: %+v %v", got, err)
	}
}

// TestProcessUnchanged: the thread that made the child has ended; the rest of the
// process keeps its attributes.
func TestProcessUnchanged(t *testing.T) {
	needRoot(t)
	before, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	launched(t, Launcher{Strategy: settings.Setuid, Core: core, Filter: true}, forked(account(t, "alice", 5001)))
	after, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"CapBnd", "CapEff", "Seccomp", "Uid", "Groups"} {
		if a, b := line(before, name), line(after, name); a != b {
			t.Errorf("%q was %q", b, a)
		}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit == core {
		t.Errorf("the limit on core files is the job's: %v %v", limit, err)
	}
}

func line(text []byte, name string) string {
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\n")
	return name + value
}

func TestBlockedSignalsNotInherited(t *testing.T) {
	needRoot(t)
	var all unix.Sigset_t
	all.Val[0] = 1<<(unix.SIGTERM-1) | 1<<(unix.SIGUSR1-1)
	got := launched(t, Launcher{Strategy: settings.Setuid, Core: core}, func(l *Launcher) (pid int, socket *os.File, err error) {
		_, err = inherit.NewThread().Run(func(*inherit.Thread) (int, error) {
			if err := unix.PthreadSigmask(unix.SIG_BLOCK, &all, nil); err != nil {
				return 0, err
			}
			pid, socket, err = forked(account(t, "alice", 5001))(l)
			return pid, err
		})
		return pid, socket, err
	})
	if got["SigBlk"] != "0000000000000000;" {
		t.Errorf("blocked: %q", got["SigBlk"])
	}
}

// TestHardLimitIsInherited lowers hard limits permanently, so it runs in a process of
// its own. The kernel restores the stack limit while a program starts.
func TestHardLimitIsInherited(t *testing.T) {
	needRoot(t)
	held, err := capability.Effective()
	if err != nil {
		t.Fatal(err)
	}
	if !held.Has(unix.CAP_SYS_RESOURCE) {
		t.Skip("this root has no CAP_SYS_RESOURCE")
	}
	if os.Getenv("PRIVDROP_LOWERED") == "" {
		cmd := exec.Command("/bin/bash", "-c", `ulimit -n 100 -s 4096 -c 0 && exec "$0" -test.run '^TestHardLimitIsInherited$'`, os.Args[0])
		cmd.Env = append(os.Environ(), "PRIVDROP_LOWERED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	l := Launcher{Strategy: settings.Setuid, Limits: []rlimit.Limit{
		{Resource: "nofile", Range: span(t, "50:2000")}, {Resource: "stack", Range: span(t, "1M:64M")}, {Resource: "core", Range: span(t, "0:8M")},
	}}
	got := launched(t, l, forked(account(t, "alice", 5001)))
	for name, want := range map[string]string{"nofile": "100 2000;", "stack": "4096 65536;", "core": "0 8192;"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}

func span(t *testing.T, text string) rlimit.Range {
	t.Helper()
	r, err := rlimit.ParseRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNoStartWithoutGrant(t *testing.T) {
	c, _, err := Launcher{Strategy: settings.None, Jacamar: program(t, "/bin/true"), Stdout: os.Stdout, Stderr: os.Stderr}.Start(policy.Grant{}, job.Run)
	if c != nil || err == nil || failure.KindOf(err) != failure.System {
		t.Errorf("%v, %v", c, err)
	}
}

// TestUserNamespace runs this test program as root of a user namespace.
func TestUserNamespace(t *testing.T) {
	if os.Getenv("PRIVDROP_FALSE_ROOT") != "" {
		if err := MayChangeIDs(); err != nil {
			os.Stdout.WriteString("refused: " + err.Error() + "\n")
		}
		return
	}
	cmd := exec.Command("/usr/bin/unshare", "--user", "--map-root-user", os.Args[0], "-test.run", "^TestUserNamespace$")
	cmd.Env = []string{"PRIVDROP_FALSE_ROOT=1"}
	out, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(out), "unshare") {
		t.Skipf("cannot make a user namespace: %s", out)
	}
	if !strings.Contains(string(out), "refused: downscope is setuid, but this process is in a user namespace") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestMayChangeIDs(t *testing.T) {
	err := MayChangeIDs()
	if os.Geteuid() == 0 && err != nil {
		t.Errorf("as root: %v", err)
	}
	for name, c := range map[string]struct {
		drop uint32
		want string
	}{
		"both":    {1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID, "lacks CAP_SETUID and CAP_SETGID"},
		"the uid": {1 << unix.CAP_SETUID, "lacks CAP_SETUID:"},
		"the gid": {1 << unix.CAP_SETGID, "lacks CAP_SETGID:"},
	} {
		if os.Geteuid() != 0 {
			break // has neither: TestNoFallback covers that
		}
		_, err := inherit.NewThread().Run(func(*inherit.Thread) (int, error) {
			data, err := capability.ThreadSets()
			if err != nil {
				return 0, err
			}
			data[0].Effective &^= c.drop
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			if err := unix.Capset(&head, &data[0]); err != nil {
				return 0, err
			}
			return 0, MayChangeIDs()
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

func TestCapabilityHint(t *testing.T) {
	if noNewPrivs() {
		t.Skip("the tests themselves run with no_new_privs")
	}
	for set, want := range []string{"run it as root, or give the file capabilities", "no_new_privs is set"} {
		_, err := inherit.NewThread().Run(func(*inherit.Thread) (int, error) {
			if set == 1 {
				if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
					return 0, err
				}
			}
			var none [2]unix.CapUserData
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			if err := unix.Capset(&head, &none[0]); err != nil {
				return 0, err
			}
			return 0, MayChangeIDs()
		})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no_new_privs %d: %v, want %q", set, err, want)
		}
	}
}
