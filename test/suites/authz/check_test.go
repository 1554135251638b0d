package authz

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// finding is a line of check's report.
type finding struct{ Check, Result, Text, Fix string }

type report struct {
	Configuration, Name, Result string
	Lines                       []finding
}

// check runs the command and parses its JSON.
func check(t *testing.T, s *site.Site, prefix ...string) (report, int) {
	t.Helper()
	cmd := exec.Command("", "")
	argv := append(prefix, s.Admin, "check", "--json", "--configuration", s.ConfigFile)
	cmd.Path, cmd.Args = argv[0], argv
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r, cmd.ProcessState.ExitCode()
}

// worse are the lines that are not ok, as "check: text"; each must have its fix.
func (r report) worse(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, l := range r.Lines {
		if (l.Result == "ok" || l.Result == "skip") != (l.Fix == "") {
			t.Errorf("the fix of %+v", l)
		}
		if l.Result != "ok" && l.Result != "skip" {
			out = append(out, l.Result+" "+l.Check+": "+l.Text)
		}
	}
	return out
}

// TestCheckGood: on a good installation all lines are ok.
func TestCheckGood(t *testing.T) {
	t.Parallel()
	s := newSibling(t)
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("general", "name", "cluster-a")
		c.Set("auth", "logging", logging(s))
		if os.Geteuid() != 0 {
			c.Set("general", "data_dir", "$HOME")
		} else {
			validated("true")(s, c)
			mapped("7 "+s.Account.Name+"\n")(s, c)
			c.Set("auth", "user_allowlist", names{s.Account.Name})
			c.Set("auth", "groups_allowlist", names{"root"})
		}
	}))
	r, status := check(t, s)
	if bad := r.worse(t); len(bad) > 0 || status != 0 || r.Result != "ok" {
		t.Errorf("status %d, %s: %q", status, r.Result, bad)
	}
	if len(r.Lines) < 12 || r.Name != "cluster-a" || r.Configuration != s.ConfigFile {
		t.Errorf("%+v", r)
	}
	if tests := events(t, s, "test"); len(tests) != 1 {
		t.Errorf("the log got %+v", tests)
	}
	out, status := admin(t, s.Admin, "check", "--configuration", s.ConfigFile)
	if status != 0 || !strings.HasSuffix(out, "ok: 0 fail, 0 warn, "+count(len(r.Lines))+" ok\n") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if _, err := os.Stat(s.StateDir + "/keys"); err == nil {
		t.Error("check cached keys")
	}
}

func count(n int) string { return strings.TrimSpace(string(must2(json.Marshal(n)))) }

func must2(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// TestCheckBroken: all faults at once are reported at once.
func TestCheckBroken(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it changes files of other owners")
	}
	t.Parallel()
	s := keyless(t)
	spoil := func(name, text string, mode os.FileMode, uid int) string {
		file := filepath.Join(s.Dir, name)
		testutil.Must(t, testutil.WriteProgram(file, []byte(text), 0o600))
		testutil.Must(t, errors.Join(os.Chmod(file, mode), os.Chown(file, uid, 0)))
		return file
	}
	testutil.Must(t, os.Chown(s.StateDir, 4242, 0))
	script := spoil("script", "#!/nonexistent/python\n", 0o722, 0)
	ca := spoil("ca", "none", 0o646, 4242)
	accounts := spoil("accounts", "7 jci-no-such-user\n", 0o644, 0)
	jacamar := spoil("jacamar", "#!/bin/sh\n", 0o600, 0)
	testutil.Must(t, os.Mkdir(filepath.Join(s.Dir, "data"), 0o777))
	testutil.Must(t, os.Chmod(filepath.Join(s.Dir, "data"), 0o777))
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("general", "executor", "slurm")
		c.Set("general", "tls-ca-file", ca)
		c.Set("general", "jwks_url", "https://127.0.0.1:1/keys")
		c.Set("general", "data_dir", filepath.Join(s.Dir, "data"))
		c.Set("general", "shell_path", "/nonexistent/bash")
		c.Set("auth", "jacamar_path", jacamar)
		c.Set("auth", "account_source", "map")
		c.Set("auth", "account_map", accounts)
		c.Set("auth", "user_allowlist", names{"jci-no-such-user", "jci-blocked"})
		c.Set("auth", "user_blocklist", names{"jci-blocked"})
		c.Set("auth", "groups_blocklist", names{"jci-no-such-group"})
		c.Set("auth", "shell_allowlist", names{"/nonexistent/zsh"})
		c.Set("auth", "runas", site.Table{"validation_script": script})
		c.Set("auth", "logging", site.Table{"enabled": true, "location": s.Dir + "/missing/log"})
		c.Set("batch", "scheduler_bin", "/nonexistent/bin")
		c.Set("batch", "cancel_grace", "1s")
	}))
	r, status := check(t, s)
	bad := r.worse(t)
	for _, want := range []string{
		"fail jacamar: the accounts of jobs cannot run", "fail state directory: " + s.StateDir + ": it belongs to uid 4242, not to 0", "fail CA file: " + ca + " is owned by uid 4242",
		"fail CA file: " + ca + " is writable by others", "warn lists: auth.user_allowlist names \"jci-no-such-user\"",
		"warn lists: auth.groups_blocklist names", "warn account map: " + accounts + " names jci-no-such-user", "fail RunAs: " + script + " is writable by group and others",
		"fail shells: there is no program /nonexistent/bash", "warn shells: auth.shell_allowlist names /nonexistent/zsh", "fail data directory: any account could replace",
		"fail scheduler: there is no sbatch", "fail log: the operator's log cannot be written", "warn configuration: line",
	} {
		if !slices.ContainsFunc(bad, func(l string) bool { return strings.HasPrefix(l, want) }) {
			t.Errorf("no line %q", want)
		}
	}
	if status != 2 || r.Result != "fail" {
		t.Errorf("status %d, %s", status, r.Result)
	}
	if t.Failed() {
		t.Log(strings.Join(bad, "\n"))
	}
}

// TestCheckConfiguration: faults of the file itself, each on a line of its own.
func TestCheckConfiguration(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, s *site.Site)
		want  []string
	}{
		"several faults": {func(t *testing.T, s *site.Site) {
			testutil.Must(t, s.Reconfigure(func(c site.Config) {
				c.Set("general", "kill_timeout", "soon")
				c.Set("general", "exector", "shell")
				c.Set("auth", "downscope", "magic")
			}))
		}, []string{"fail configuration: line", "fail configuration: line", "fail configuration: line"}},
		"missing": {func(t *testing.T, s *site.Site) { testutil.Must(t, os.Remove(s.ConfigFile)) }, []string{"does not exist"}},
		"not TOML": {func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.WriteFile(s.ConfigFile, []byte("[general\n"), 0o644))
		}, []string{"not valid TOML"}},
		"writable by others":  {func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(s.ConfigFile, 0o666)) }, []string{"is writable by group and others"}},
		"untrusted directory": {func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(s.Dir, 0o777)) }, []string{"is writable by group and others"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			tc.spoil(t, s)
			r, status := check(t, s)
			bad := r.worse(t)
			if status != 2 || len(bad) != len(tc.want) {
				t.Errorf("status %d: %q", status, bad)
			}
			for i, want := range tc.want {
				if i < len(bad) && !strings.Contains(bad[i], want) {
					t.Errorf("line %d is %q, want %q", i, bad[i], want)
				}
			}
		})
	}
}

func TestCheckWarns(t *testing.T) {
	t.Parallel()
	s := newSibling(t, func(c site.Config) {
		c.Set("auth", "logging", site.Table{"enabled": false})
		if os.Geteuid() != 0 {
			c.Set("general", "data_dir", "$HOME")
		}
	})
	if r, status := check(t, s); status != 1 || r.Result != "warn" {
		t.Errorf("status %d: %q", status, r.worse(t))
	}
	var out string
	if out, _ = admin(t, s.Admin, "check", "--configuration", s.ConfigFile); !strings.Contains(out, "no decision of jacamar-auth is recorded") {
		t.Errorf("%s", out)
	}
}

// TestCheckResolvesLogServer: no stage looks a name up for a record, so the check prints
// what to write instead.
func TestCheckResolvesLogServer(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"localhost:514":        `: address = "`,
		"jci-no-such-host:514": "; the name service has no address of jci-no-such-host",
	} {
		s := newSibling(t, func(c site.Config) {
			c.Set("auth", "logging", site.Table{"enabled": true, "network": "udp", "address": address})
		})
		r, status := check(t, s)
		if status != 2 || len(r.Lines) == 0 || !strings.Contains(r.Lines[0].Text, "has a host name") || !strings.Contains(r.Lines[0].Fix, want) {
			t.Errorf("%s: status %d: %+v", address, status, r.Lines)
		}
		if want[0] == ':' && !strings.Contains(r.Lines[0].Fix, ":514\"") {
			t.Errorf("%q", r.Lines[0].Fix)
		}
	}
}

// TestCheckPrivileges: what the account of the service cannot do.
func TestCheckPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it becomes another account and makes namespaces")
	}
	t.Parallel()
	s := keyless(t)
	testutil.Must(t, s.ServeAs(s.Accounts.Runner))
	runner, err := site.LookupAccount(s.Accounts.Runner)
	testutil.Must(t, err)
	as := []string{"/usr/bin/setpriv", "--reuid", runner.Name, "--regid", runner.Name, "--init-groups"}
	has := func(t *testing.T, r report, want string) {
		t.Helper()
		for _, l := range r.Lines {
			if strings.HasPrefix(l.Result+" "+l.Check+": "+l.Text, want) {
				return
			}
		}
		t.Errorf("no line %q in %+v", want, r.Lines)
	}
	t.Run("capabilities", func(t *testing.T) {
		r, _ := check(t, s)
		has(t, r, fmt.Sprintf("ok privileges: uid %d may become the accounts of jobs", runner.UID))
		has(t, r, "ok jacamar-auth: ")
		has(t, r, "ok state directory: ")
		has(t, r, "ok helper account: helper programs run as "+s.Accounts.Helper)
	})
	t.Run("capabilities, as the service", func(t *testing.T) {
		r, status := check(t, s, as...)
		has(t, r, fmt.Sprintf("warn account: jacamar-auth has file capabilities, and what it keeps is closed to uid %d", runner.UID))
		has(t, r, "ok privileges: uid ")
		has(t, r, "ok jacamar-auth: ")
		for _, l := range r.Lines {
			if slices.Contains([]string{"state directory", "key server", "shadow", "log"}, l.Check) {
				t.Errorf("it reports what it cannot read: %+v", l)
			}
		}
		if status == 0 {
			t.Error("it reports no fault")
		}
		for _, command := range [][]string{{"keys", "refresh"}, {"explain", "--claims", "/dev/null"}} {
			argv := slices.Concat(as, []string{s.Admin}, command, []string{"--configuration", s.ConfigFile})
			if out, status := admin(t, argv...); status == 0 || !strings.Contains(out, "jacamar-auth has file capabilities, and what it keeps is closed to that account: run it as root") {
				t.Errorf("%v: status %d: %s", command, status, out)
			}
		}
	})
	t.Run("root instead of the service", func(t *testing.T) {
		other := newSibling(t)
		testutil.Must(t, os.Chown(other.StateDir, int(runner.UID), int(runner.GID)))
		testutil.Must(t, other.Reconfigure(func(c site.Config) { c.Set("auth", "logging", logging(other)) }))
		r, _ := check(t, other)
		has(t, r, "warn account: this is root, and the runner's service is "+runner.Name)
		if _, err := os.Stat(logFile(other)); err == nil {
			t.Error("root made the service's log")
		}
	})
	t.Run("no_new_privs", func(t *testing.T) {
		r, status := check(t, s, append(as, "/usr/bin/setpriv", "--no-new-privs")...)
		has(t, r, "fail privileges: downscope is setuid, but "+s.Auth+" lacks CAP_SETUID and CAP_SETGID: no_new_privs is set")
		if status != 2 {
			t.Errorf("status %d", status)
		}
	})
	t.Run("any account may run it", func(t *testing.T) {
		open := filepath.Join(s.Dir, "open")
		testutil.Must(t, exec.Command("cp", "--recursive", "--preserve=all", filepath.Dir(s.Auth), open).Run())
		testutil.Must(t, os.Chmod(filepath.Join(open, "jacamar-auth"), 0o755))
		other := *s
		other.Admin = filepath.Join(open, "jacamar-admin")
		r, _ := check(t, &other)
		has(t, r, "fail jacamar-auth: "+open+"/jacamar-auth has privileges and any account may run it (mode 0755)")
	})
	t.Run("nosuid", func(t *testing.T) {
		ns := namespace.Start(t)
		for _, command := range [][]string{{"mount", "--bind", s.Dir, s.Dir}, {"mount", "-o", "remount,bind,nosuid", s.Dir}} {
			_, err := ns.Run(command...)
			testutil.Must(t, err)
		}
		r, _ := check(t, s, ns.Enter()...)
		has(t, r, "fail privileges: downscope is setuid, but "+s.Auth+" lacks CAP_SETUID and CAP_SETGID: its file system is mounted with nosuid")
	})
	t.Run("downscope none as root", func(t *testing.T) {
		other := newSibling(t, func(c site.Config) { c.Set("auth", "downscope", "none") })
		r, _ := check(t, other)
		has(t, r, "fail privileges: downscope is none and this is root")
	})
	t.Run("user namespace", func(t *testing.T) {
		other := newSibling(t)
		r, _ := check(t, other, "/usr/bin/unshare", "--user", "--map-root-user")
		has(t, r, "fail user namespace: ")
	})
	t.Run("logins switched off", func(t *testing.T) {
		ns := namespace.Start(t)
		testutil.Must(t, ns.Empty("/run"))
		_, err := ns.Run("touch", "/run/nologin")
		testutil.Must(t, err)
		other := newSibling(t, func(c site.Config) { c.Set("auth", "enforce_nologin", true) })
		r, _ := check(t, other, ns.Enter()...)
		has(t, r, "warn logins: ")
	})
	t.Run("name service broken", func(t *testing.T) {
		ns := namespace.Start(t)
		testutil.Must(t, stub(ns, "exit 1"))
		r, _ := check(t, newSibling(t), ns.Enter()...)
		has(t, r, "fail name service: ")
	})
}

// TestProcessNamedAsTheRunner (K23): a process of another account that has the runner's name is not
// judged in the runner's place.
func TestProcessNamedAsTheRunner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts a process of another account")
	}
	s := newSibling(t)
	sleep, err := os.ReadFile("/bin/sleep")
	testutil.Must(t, err)
	named := filepath.Join(s.Dir, "gitlab-runner")
	testutil.Must(t, testutil.WriteProgram(named, sleep, 0o755))
	// As an account can with a user namespace of its own.
	become := fmt.Sprintf("mount -t tmpfs tmpfs /home && exec setpriv --reuid=%d --regid=%d --clear-groups %s 1000", s.Account.UID, s.Account.GID, named)
	cmd := exec.Command("/usr/bin/unshare", "--mount", "sh", "-c", become)
	testutil.Must(t, cmd.Start())
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	if !site.Eventually(10*time.Second, func() bool {
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", cmd.Process.Pid))
		return string(comm) == "gitlab-runner\n"
	}) {
		t.Error("the process does not have the name")
	}
	r, _ := check(t, s)
	for _, l := range r.Lines {
		if strings.Contains(l.Text, "hides") {
			t.Errorf("%+v", l)
		}
	}
}
