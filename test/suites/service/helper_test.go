package service

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// built compiles one of the programs in testdata, where every account can run it.
func built(t *testing.T, s *site.Site, name string) string {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/bin/gcc": "gcc", "/usr/include/stdio.h": "libc6-dev"})
	target := filepath.Join(s.Dir, name)
	out, err := exec.Command("/usr/bin/gcc", "-Wall", "-Werror", "-O2", "-o", target, filepath.Join("testdata", name+".c")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	testutil.Must(t, os.Chmod(target, 0o755))
	return target
}

func lookup(t *testing.T, name string) site.Account {
	t.Helper()
	a, err := site.LookupAccount(name)
	testutil.Must(t, err)
	return a
}

// TestHelpersCannotBeTraced: K1, while config runs, another process of the service's
// account tries to trace jacamar-auth and all that it starts. Each helper must have been
// attacked.
func TestHelpersCannotBeTraced(t *testing.T) {
	s := opened(t, "capabilities")
	script := filepath.Join(s.Dir, "validate")
	testutil.Must(t, os.WriteFile(script, []byte("#!/bin/sh\nsleep 0.05\n"), 0o755))
	testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "runas", site.Table{"validation_script": script}) }))
	grab, a := built(t, s, "grab"), attack(t, s, s.Job())
	helper, nobody := fmt.Sprint(lookup(t, s.Accounts.Helper).UID), "65534"
	want := map[string]string{"getent": helper, "sleep": helper, "jacamar-keys": nobody}
	for round := 0; len(want) > 0; round++ {
		if round == 60 {
			t.Fatalf("these were never there to be grabbed: %v", want)
		}
		keys, err := filepath.Glob(filepath.Join(s.StateDir, "keys-*.json"))
		testutil.Must(t, err)
		for _, k := range keys {
			testutil.Must(t, os.Remove(k)) // so that they are fetched
		}
		r := finished(t, a.command("", grab, s.Auth, "config", "--configuration", s.ConfigFile))
		if r.status != 0 {
			t.Fatalf("config: %s", r)
		}
		for line := range strings.Lines(r.stderr) {
			f := strings.Fields(line)
			if len(f) != 6 || f[0] != "grab:" {
				continue
			}
			name, uid, action, done := f[1], f[2], f[3], f[4]
			if done != "0" {
				t.Errorf("%s of uid %s: %s succeeded %s times", name, uid, action, done)
			}
			if want[name] == uid {
				delete(want, name)
			} else if want[name] != "" && uid != fmt.Sprint(s.Service().UID) {
				t.Errorf("%s runs as uid %s", name, uid)
			}
			if uid == fmt.Sprint(s.Service().UID) && name != "jacamar-auth" {
				t.Errorf("%s runs as the service's account", name)
			}
		}
	}
}

// TestKeyBelongsToTheHelper: K1, neither the service nor a user can read what seals states.
func TestKeyBelongsToTheHelper(t *testing.T) {
	s := opened(t, "capabilities")
	a := attack(t, s, s.Job())
	a.state(t)
	key := filepath.Join(s.StateDir, "seal.key")
	for _, who := range []site.Account{*s.Service(), s.Account, lookup(t, "nobody")} {
		cmd := a.command("", "/bin/cat", key)
		cmd.SysProcAttr = credential(who)
		if r := finished(t, cmd); r.status == 0 || r.stdout != "" {
			t.Errorf("%s reads %s: %s", who.Name, key, r)
		}
	}
	cmd := a.command("", "/bin/cat", key)
	cmd.SysProcAttr = credential(lookup(t, s.Accounts.Helper))
	if r := finished(t, cmd); r.status != 0 || len(r.stdout) != 32 {
		t.Errorf("its owner: %s", r)
	}
}

// TestHelperAccount: K1, helpers run as the account of the deployment, which is not the
// service's where another one is possible.
func TestHelperAccount(t *testing.T) {
	for _, c := range []struct {
		deployment, account string // account is auth.helper_account
		names, shadow       string // the user that getent runs as
		script              string
	}{
		{"capabilities", "", "helper", "helper", "helper"},
		{"root", "", "helper", "root", "root"},
		{"root", "root", "root", "root", "root"},
		{"root", "jci-no-such", "root", "root", "root"},
		{"sudo", "", "service", "service", "service"},
	} {
		t.Run(c.deployment+" "+c.account, func(t *testing.T) {
			s := opened(t, c.deployment, func(cfg site.Config) {
				if c.account != "" {
					cfg.Set("auth", "helper_account", c.account)
				}
			})
			uid := map[string]uint32{"root": 0, "helper": lookup(t, s.Accounts.Helper).UID, "service": lookup(t, s.Accounts.Runner).UID}
			for database, want := range map[string]string{"passwd": c.names, "initgroups": c.names, "shadow": c.shadow} {
				a := inside(t, attack(t, s, s.Job()), database)
				r := a.config(t, "")
				if text := fmt.Sprintf("getent %s: exit status 9: as %d", database, uid[want]); r.status != 2 || !strings.Contains(reasons(t, s), text) {
					t.Errorf("%s: %s; want %q in\n%s", database, r, text, reasons(t, s))
				}
			}
			script := filepath.Join(s.Dir, "validate")
			testutil.Must(t, os.WriteFile(script, []byte("#!/bin/sh\necho as $(id -u) >&2\nexit 1\n"), 0o755))
			testutil.Must(t, s.Reconfigure(func(cfg site.Config) {
				cfg.Set("auth", "runas", site.Table{"validation_script": script})
				cfg.Set("auth", "logging", site.Table{"enabled": true, "location": logFile(s)})
				if c.account != "" {
					cfg.Set("auth", "helper_account", c.account)
				}
			}))
			attack(t, s, s.Job()).config(t, "")
			if text := fmt.Sprintf("standard error: as %d", uid[c.script]); !strings.Contains(reasons(t, s), text) {
				t.Errorf("the script: want %q in\n%s", text, reasons(t, s))
			}
		})
	}
}

// inside runs the attacker in a namespace in which getent fails for one database and
// prints its account.
func inside(t *testing.T, a attacker, database string) attacker {
	t.Helper()
	ns := namespace.Start(t)
	real, err := os.ReadFile("/usr/bin/getent")
	testutil.Must(t, err)
	testutil.Must(t, ns.Empty("/run"))
	testutil.Must(t, os.WriteFile(a.path("getent"), real, 0o755))
	_, err = ns.Run("cp", a.path("getent"), "/run/getent")
	testutil.Must(t, err)
	testutil.Must(t, ns.Put("/usr/bin/getent", "#!/bin/sh\n[ \"$1\" = "+database+" ] && { echo \"as $(id -u)\" >&2; exit 9; }\nexec /run/getent \"$@\"\n", 0o755))
	a.prefix = ns.Enter()
	if who := a.s.Service(); who != nil {
		a.prefix = append(a.prefix, "/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", who.UID), fmt.Sprintf("--regid=%d", who.GID), "--clear-groups")
	}
	return a
}

func reasons(t *testing.T, s *site.Site) string {
	t.Helper()
	var all []string
	for _, r := range records(t, s) {
		all = append(all, r.Reason)
	}
	return strings.Join(all, "\n")
}

// TestUnusableHelper: K1, with file capabilities no job runs without a helper account,
// and the printed fix works.
func TestUnusableHelper(t *testing.T) {
	for _, c := range []struct{ name, account, problem, fix string }{
		{"missing", "jci-no-such", "there is no such account in /etc/passwd", "useradd --system"},
		{"root", "root", "it is root", "make an account for this purpose"},
		{"the service", "RUNNER", "it is the account of the runner's service", "make an account for this purpose"},
		{"nobody", "nobody", "it has the id of nobody", "make an account for this purpose"},
		{"a person", "ALICE", "it has the login shell /bin/bash", "usermod --shell /usr/sbin/nologin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := opened(t, "capabilities")
			account := strings.NewReplacer("RUNNER", s.Accounts.Runner, "ALICE", s.Accounts.Alice).Replace(c.account)
			testutil.Must(t, s.Reconfigure(func(cfg site.Config) { cfg.Set("auth", "helper_account", account) }))
			a := attack(t, s, s.Job())
			r := finished(t, a.command("", s.Auth, "-u", "config", "--configuration", s.ConfigFile))
			if r.status != 2 || r.stdout != "" || !strings.Contains(r.stderr, "cannot use auth.helper_account "+account+": "+c.problem) || !strings.Contains(r.stderr, c.fix) {
				t.Errorf("%s", r)
			}
			check := finished(t, a.command("", s.Admin, "check", "--configuration", s.ConfigFile))
			if check.status != 2 || !strings.Contains(check.stdout, c.problem) {
				t.Errorf("%s", check)
			}
			if c.name == "missing" {
				fixWorks(t, r.stderr, account)
			}
		})
	}
}

// fixWorks runs the command of a message in an empty root, and checks the account that it
// creates there.
func fixWorks(t *testing.T, message, account string) {
	t.Helper()
	_, command, _ := strings.Cut(colors.ReplaceAllString(message, ""), "run: ")
	command, _, _ = strings.Cut(command, "\n")
	argv := strings.Fields(command)
	if len(argv) == 0 || argv[0] != "useradd" {
		t.Fatalf("no command in %q", message)
	}
	root := t.TempDir()
	testutil.Must(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	for _, name := range []string{"passwd", "group", "shadow", "gshadow"} {
		testutil.Must(t, os.WriteFile(filepath.Join(root, "etc", name), nil, 0o644))
	}
	if out, err := exec.Command("/usr/sbin/useradd", append([]string{"--prefix", root}, argv[1:]...)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	text, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	f := strings.Split(strings.TrimSpace(string(text)), ":")
	if err != nil || len(f) != 7 || f[0] != account || f[2] == "0" || len(f[2]) > 3 || f[6] != "/usr/sbin/nologin" {
		t.Errorf("it makes %q, %v", text, err)
	}
}

// TestStateDirectory: K1, with file capabilities it belongs to the helper account, and the
// fix that check prints works.
func TestStateDirectory(t *testing.T) {
	for name, spoil := range map[string]func(s *site.Site) error{
		"the service's": func(s *site.Site) error { return os.Chown(s.StateDir, int(s.Service().UID), 0) },
		"root's":        func(s *site.Site) error { return os.Chown(s.StateDir, 0, 0) },
		"open":          func(s *site.Site) error { return os.Chmod(s.StateDir, 0o755) },
		"missing":       func(s *site.Site) error { return os.RemoveAll(s.StateDir) },
		"a user's key": func(s *site.Site) error {
			key := filepath.Join(s.StateDir, "seal.key")
			return errors.Join(os.WriteFile(key, make([]byte, 32), 0o600), os.Chown(key, int(s.Account.UID), 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, "capabilities")
			testutil.Must(t, spoil(s))
			a := attack(t, s, s.Job())
			r := finished(t, a.command("", s.Auth, "-u", "config", "--configuration", s.ConfigFile))
			_, fix, found := strings.Cut(colors.ReplaceAllString(r.stderr, ""), "run: ")
			if name == "a user's key" {
				fix, found = "rm "+filepath.Join(s.StateDir, "seal.key"), strings.Contains(r.stderr, "remove it")
			}
			if r.status != 2 || r.stdout != "" || !found {
				t.Fatalf("%s", r)
			}
			fix, _, _ = strings.Cut(fix, "\n")
			if out, err := exec.Command("/bin/sh", "-c", fix).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", fix, err, out)
			}
			if r := a.stage(t, "run", a.state(t)); r.status != 0 {
				t.Errorf("after %q: %s", fix, r)
			}
		})
	}
}

// TestLimits: a limit that the service sets must not shorten a helper's output.
func TestLimits(t *testing.T) {
	s := opened(t, "capabilities")
	try := func(limit string, refused bool) {
		a := attack(t, s, s.Job())
		r := finished(t, a.command("", "/usr/bin/prlimit", limit, s.Auth, "config", "--configuration", s.ConfigFile))
		if (r.status != 0) != refused || refused && r.stdout != "" {
			t.Errorf("%s: %s", limit, r)
		}
	}
	for limit, refused := range map[string]bool{"--nofile=63": true, "--nofile=64": false, "--nproc=63": true, "--data=268435455": true, "--cpu=59": true} {
		try(limit, refused)
	}
	if text := reasons(t, s); !strings.Contains(text, "the runner's limit on open files is 63, below 64") {
		t.Errorf("recorded %s", text)
	}
	try("--fsize=1000", true) // last: it also cuts the operator's log
}

// TestHelperRunsNoJobs: K1, no job runs as the account that owns the key.
func TestHelperRunsNoJobs(t *testing.T) {
	s := opened(t, "capabilities")
	accounts := filepath.Join(s.Dir, "accounts")
	testutil.Must(t, os.WriteFile(accounts, []byte("7 "+s.Accounts.Helper+"\n"), 0o644))
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("auth", "account_source", "map")
		c.Set("auth", "account_map", accounts)
		c.Set("auth", "min_uid", 100)
		c.Set("auth", "shell_allowlist", []string{"/usr/sbin/nologin"})
		c.Set("auth", "logging", site.Table{"enabled": true, "location": logFile(s)})
	}))
	a := attack(t, s, s.Job())
	a.refusedWith(t, 1, "a job as the helper account", a.config(t, ""), "you are not allowed to run CI jobs on this resource")
	rules := slices.Collect(func(yield func(string) bool) {
		for _, r := range records(t, s) {
			if r.Event == "decision" && !yield(r.Rule) {
				return
			}
		}
	})
	if !slices.Equal(rules, []string{"service_account"}) {
		t.Errorf("decided by %q", rules)
	}
}
