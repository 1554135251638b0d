package authz

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// lowest sets min_uid, so that other rules are reached.
func lowest(uid int) func(*site.Site, site.Config) {
	return func(_ *site.Site, c site.Config) { c.Set("auth", "min_uid", uid) }
}

// TestIDs: B2, every number that an interface interprets as another one.
func TestIDs(t *testing.T) {
	peopleAttempts(t, []attempt{
		{name: "B2 ordinary", job: by("ordinary"), as: "ordinary"},
		{name: "B2 uid 0", job: by("toor"), rule: "root"},
		{name: "B2 primary group 0", job: by("rootgroup"), rule: "root"},
		{name: "B2 uid 65534", job: by("nobody2"), rule: "nobody"},
		{name: "B2 nobody itself", job: by("nobody"), rule: "nobody"},
		{name: "B2 primary group 65534", job: by("nogroup2"), rule: "nobody"},
		{name: "B2 uid 65535", job: by("old16"), rule: "uid_range"},
		{name: "B2 uid over INT_MAX", job: by("negative"), rule: "uid_range"},
		{name: "B2 uid 2^32-2", job: by("overflowing"), rule: "uid_range"},
		{name: "B2 uid 2^32-1", job: by("minusone"), line: failed},
		{name: "B2 uid 2^32", job: by("bigger"), rule: "account_unknown"},
		{name: "B2 uid -1", job: by("minus"), rule: "account_unknown"},
		{name: "B2 primary group 2^32-1", job: by("minusgroup"), line: failed},
		{name: "B2 uid with a zero before", job: by("octal"), as: "octal"},
		{name: "B2 uid under the minimum", job: by("below"), rule: "min_uid"},
		{name: "B2 uid at a lower minimum", job: by("below"), change: lowest(777), as: "below"},
		{name: "B2 uid just under a minimum", job: by("ordinary"), change: lowest(20002), rule: "min_uid"},
		{name: "B2 first name of a shared uid", job: by("first"), as: "first"},
		{name: "B2 second name of a shared uid", job: by("second"), rule: "duplicate_uid"},
		{name: "B2 primary group without a name", job: by("unknowngid"), as: "unknowngid"},
	})
}

// logins are names that a user of GitLab could choose, with the rule that refuses each.
var logins = map[string]string{
	"0": "account_source", "0x0": "account_source", "1000": "account_source", "0xDEAD": "account_source", "00": "account_source",
	"-u": "account_source", "--login": "account_source", "-": "account_source", "a b": "account_source", "a;id": "account_source", "a/../root": "account_source",
	"..": "account_source", ".": "account_source", ".hidden": "account_source", "a/b": "account_source", "%h": "account_source", "~root": "account_source",
	"$USER": "account_source", "$(id)": "account_source", "`id`": "account_source", "a*": "account_source", "a:b": "account_source", "root:x:0": "account_source",
	"root\x00": "token: claims", "root\n": "token: claims", "a\tb": "token: claims", "\x1b[2Jroot": "token: claims", "": "token: claims",
	"rοot": "account_source", "ｒoot": "account_source", "root\u200b": "account_source", "аlice": "account_source", "ORDINARY": "account_unknown",
	"Ordinary": "account_unknown", "ordinary ": "account_source", " ordinary": "account_source", "ordinary.": "account_unknown",
	"@ordinary": "account_source", `\ordinary`: "account_source", `other\ordinary`: "account_unknown", "ordinary@other.org": "account_unknown",
	strings.Repeat("a", 255): "account_unknown", strings.Repeat("a", 256): "token: claims", "nobody-at-all": "account_unknown",
}

// TestNames: B3 and B4, a login is a name or is refused. No name reaches a command line
// before it is distinguished from a number, an option and a path.
func TestNames(t *testing.T) {
	var all []attempt
	for login, rule := range logins {
		row := "B3"
		if strings.ContainsAny(login, "/.%~") {
			row = "B4"
		}
		for _, how := range []string{"setuid", "sudo"} {
			all = append(all, attempt{
				name: fmt.Sprintf("%s %.30q by %s", row, login, how), job: by(login), rule: rule,
				change: func(_ *site.Site, c site.Config) {
					c.Set("auth", "downscope", how)
					c.Set("general", "data_dir", "$HOME/%h/~root/..data")
				},
			})
		}
	}
	for _, name := range []string{"Upper.Case-1", "at@b.org", `DOM\back`, "1digit"} {
		all = append(all, attempt{name: "B3 accepted: " + name, job: by(name), as: name})
	}
	peopleAttempts(t, all)
}

// TestSystemAccounts: B7, also when a list names them.
func TestSystemAccounts(t *testing.T) {
	listed := func(min int, names ...string) func(*site.Site, site.Config) {
		return func(_ *site.Site, c site.Config) {
			c.Set("auth", "user_allowlist", names)
			c.Set("auth", "min_uid", min)
		}
	}
	all := []attempt{
		{name: "B7 root", job: by("root"), rule: "root"},
		{name: "B7 root, listed", job: by("root"), change: listed(100, "root"), rule: "root"},
		{name: "B7 daemon", job: by("daemon"), rule: "min_uid"},
		{name: "B7 daemon, listed", job: by("daemon"), change: listed(100, "daemon"), rule: "min_uid"},
		{name: "B7 bin", job: by("bin"), rule: "min_uid"},
		{name: "B7 a system account", job: by("system"), rule: "min_uid"},
		{name: "B7 min_uid under 100", job: by("daemon"), change: lowest(1), line: misconfigured},
		{name: "B7 min_uid 0", job: by("root"), change: lowest(0), line: misconfigured},
	}
	peopleAttempts(t, all)
}

// TestServiceAccount: B7, no job runs as the runner's own account, whatever is
// configured.
func TestServiceAccount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it installs the programs for a service account")
	}
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(site.Config)
		want   string
	}{
		"B7 by a high minimum": {func(site.Config) {}, "min_uid"},
		"B7 by itself": {func(c site.Config) {
			c.Set("auth", "min_uid", 100)
			c.Set("auth", "user_allowlist", []string{common(t).Accounts.Runner})
		}, "service_account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := keyless(t)
			testutil.Must(t, s.ServeAs(s.Accounts.Runner))
			keepLog(t, s)
			testutil.Must(t, s.Reconfigure(func(c site.Config) {
				c.Set("auth", "logging", logging(s))
				tc.change(c)
			}))
			attempt{rule: tc.want}.judge(t, s, s.Runner().Run(by(s.Accounts.Runner)(s)))
		})
	}
}

// TestAccountState: B10.
func TestAccountState(t *testing.T) {
	peopleAttempts(t, []attempt{
		{name: "B10 locked", job: by("locked"), rule: "locked"},
		{name: "B10 never had a password", job: by("nopassword"), as: "nopassword"},
		{name: "B10 expired", job: by("expired"), rule: "expired"},
		{name: "B10 password past its end", job: by("stale"), rule: "expired"},
		{name: "B10 password to be changed", job: by("mustchange"), as: "mustchange"},
		{name: "B10 nologin", job: by("nologin"), rule: "nologin_shell"},
		{name: "B10 false", job: by("false"), rule: "nologin_shell"},
		{name: "B10 nologin, listed", job: by("nologin"), change: func(_ *site.Site, c site.Config) {
			c.Set("auth", "shell_allowlist", []string{"/usr/sbin/nologin"})
		}, rule: "nologin_shell"},
		{name: "B10 shell that is none", job: by("git"), rule: "shell_allowlist"},
		{name: "B10 shell that the site lists", job: by("git"), change: func(_ *site.Site, c site.Config) {
			c.Set("auth", "shell_allowlist", []string{"/usr/bin/git-shell"})
		}, as: "git"},
		{name: "B10 shell that the site does not list", job: by("dash"), change: func(_ *site.Site, c site.Config) {
			c.Set("auth", "shell_allowlist", []string{"/bin/bash"})
		}, rule: "shell_allowlist"},
		{name: "B10 shell list is empty", job: by("ordinary"), change: func(_ *site.Site, c site.Config) {
			c.Set("auth", "shell_allowlist", []string{})
		}, rule: "shell_allowlist"},
		{name: "B10 no shell means sh", job: by("noshell"), as: "noshell"},
		{name: "B10 home is relative", job: by("relative"), line: failed},
		{name: "B10 home is missing", job: by("homeless"), line: "/homes/homeless/.jacamar-ci: no such file or directory", decided: true},
		{name: "B10 home is another's", job: by("lodger"), line: "/homes/lodger, on the way to it, is owned by account 4242, not by root or you", decided: true},
	})
}

// TestNologin: B10, logins are switched off for the machine.
func TestNologin(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with /run/nologin")
	}
	t.Parallel()
	ns := namespace.Start(t)
	testutil.Must(t, ns.Empty("/run"))
	if _, err := ns.Run("touch", "/run/nologin"); err != nil {
		t.Fatal(err)
	}
	for _, a := range []attempt{
		{name: "B10 nologin, enforced", rule: "enforce_nologin", change: func(_ *site.Site, c site.Config) { c.Set("auth", "enforce_nologin", true) }},
		{name: "B10 nologin, not enforced"},
	} {
		t.Run(a.name, func(t *testing.T) {
			a.runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
			a.try(t)
		})
	}
}

// TestUnreadableShells: B10, a list of login shells that cannot be read refuses no account,
// and each way of the fix makes jobs run.
func TestUnreadableShells(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with another /etc/shells")
	}
	t.Parallel()
	ns := namespace.Start(t)
	testutil.Must(t, ns.Put("/etc/shells", strings.Repeat("#", 65<<10), 0o644))
	listed := func(_ *site.Site, c site.Config) { c.Set("auth", "shell_allowlist", []string{"/bin/bash"}) }
	for _, a := range []attempt{{name: "B10 no list at all", line: failed}, {name: "B10 a list of the site's", change: listed}} {
		t.Run(a.name, func(t *testing.T) {
			a.runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
			a.try(t)
			s := newSibling(t)
			if a.change != nil {
				testutil.Must(t, s.Reconfigure(func(c site.Config) { a.change(s, c) }))
			}
			r, _ := check(t, s, ns.Enter()...)
			found := strings.Contains(strings.Join(r.worse(t), "\n"), "fail shells: cannot read the list of login shells: /etc/shells is longer than 65536 bytes")
			if found != (a.change == nil) {
				t.Errorf("check finds %q", r.worse(t))
			}
		})
	}
	t.Run("B10 the file is restored", func(t *testing.T) {
		testutil.Must(t, ns.Put("/etc/shells", "/bin/bash\n", 0o644))
		attempt{runner: func(s *site.Site) *fakerunner.Runner { return in(ns, s) }}.try(t)
	})
}

// printed returns the words of the output line that begins with a word.
func printed(t *testing.T, r fakerunner.Result, word string) []string {
	t.Helper()
	script, _ := r.Call("build_script")
	for line := range strings.Lines(string(script.Stdout)) {
		if f := strings.Fields(line); len(f) > 0 && f[0] == word {
			return f[1:]
		}
	}
	t.Errorf("no line %q in:\n%s", word, script.Stdout)
	return nil
}

// TestGroups: B5, the job has its account's groups and no other.
func TestGroups(t *testing.T) {
	sameGroups := func(t *testing.T, _ *site.Site, r fakerunner.Result) {
		script, _ := r.Call("build_script")
		name, _, _ := strings.Cut(string(script.Stdout[strings.Index(string(script.Stdout), "id -un")+len("id -un\x1b[0;m\n"):]), "\n")
		want, err := inPeopleNamespace(t).Run("id", "-G", strings.TrimSpace(name))
		testutil.Must(t, err)
		got := printed(t, r, "groups")
		expected := strings.Fields(want)
		slices.Sort(got)
		slices.Sort(expected)
		if !slices.Equal(got, expected) {
			t.Errorf("the job of %q has the groups %v, want %v", name, got, expected)
		}
	}
	peopleAttempts(t, []attempt{
		{name: "B5 only its own", job: by("loner"), as: "loner", see: sameGroups},
		{name: "B5 two more", job: by("member"), as: "member", see: sameGroups},
		{name: "B5 sixty-five more", job: by("joiner"), as: "joiner", see: sameGroups},
		{name: "B5 a group without a name", job: by("unknowngid"), as: "unknowngid", see: sameGroups},
	})
}

// TestCapabilities: B6, the job has no capability of the driver.
func TestCapabilities(t *testing.T) {
	none := func(t *testing.T, _ *site.Site, r fakerunner.Result) {
		for _, set := range []string{"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"} {
			if got := printed(t, r, set); !slices.Equal(got, []string{"0000000000000000"}) {
				t.Errorf("%s %v", set, got)
			}
		}
	}
	peopleAttempts(t, []attempt{{name: "B6 as root's service", job: by("ordinary"), as: "ordinary", see: none}})
}

// TestNameService: B11, one result is used throughout, and an error is never a default.
func TestNameService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it replaces getent in a namespace")
	}
	t.Parallel()
	name := common(t).Account.Name
	real := `exec /usr/bin/getent.real "$@"`
	for _, tc := range []struct {
		attempt
		body string
	}{
		{attempt{name: "B11 itself"}, real},
		{attempt{name: "B11 slow"}, "sleep 1; " + real},
		{attempt{name: "B11 hangs", line: failed}, "exec sleep 1000"},
		{attempt{name: "B11 hangs and ignores signals", line: failed}, "trap '' TERM HUP INT; while :; do sleep 1000; done"},
		{attempt{name: "B11 fails", line: failed}, "exit 1"},
		{attempt{name: "B11 knows nobody", rule: "account_unknown"}, "exit 2"},
		{attempt{name: "B11 prints nothing and succeeds", line: failed}, "exit 0"},
		{attempt{name: "B11 dies", line: failed}, "kill -SEGV $$"},
		{attempt{name: "B11 garbage", line: failed}, "echo hello"},
		{attempt{name: "B11 1 GiB", line: failed}, "exec head -c 1073741824 /dev/zero"},
		{attempt{name: "B11 half a line", line: failed}, `printf 'x:x:20'`},
		{attempt{name: "B11 two accounts", line: failed}, real[5:] + "; " + real[5:]},
		{attempt{name: "B11 another account", line: failed}, `case $1 in passwd) set -- passwd -- root;; esac; ` + real},
		{attempt{name: "B11 root's number under the name", rule: "root"}, fmt.Sprintf(`case $1$3 in passwd%s) echo '%[1]s:x:0:0::/root:/bin/bash'; exit;; esac; %s`, name, real)},
		{attempt{name: "B11 groups cannot be had", line: failed}, `case $1 in initgroups) exit 1;; esac; ` + real},
		{attempt{name: "B11 groups of another", line: failed}, `case $1 in initgroups) echo root 0; exit;; esac; ` + real},
		{attempt{name: "B11 groups cut off", line: failed}, fmt.Sprintf(`case $1 in initgroups) printf '%s 4 24'; exit;; esac; %s`, name, real)},
		{attempt{name: "B5 seventy thousand groups", line: failed}, fmt.Sprintf(`case $1 in initgroups) printf '%s '; seq -s ' ' 100000 170000; exit;; esac; %s`, name, real)},
		{attempt{name: "B11 group -1", line: failed}, fmt.Sprintf(`case $1 in initgroups) echo '%s 4294967295'; exit;; esac; %s`, name, real)},
		{attempt{name: "B11 two numbers in two answers", rule: "duplicate_uid"}, fmt.Sprintf(`case $1$3 in passwd%s) echo '%[1]s:x:31337:31337::/tmp:/bin/bash'; exit;; passwd31337) echo 'other:x:31337:31337::/tmp:/bin/bash'; exit;; esac; %s`, name, real)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ns := namespace.Start(t)
			testutil.Must(t, stub(ns, tc.body))
			if strings.HasPrefix(tc.name, "B11 hangs") {
				hangs(t, ns)
				return
			}
			tc.runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
			tc.try(t)
		})
	}
}

// hangs checks that a name service that hangs fails the stage within its limit.
// One call is enough: the runner's three tries take three times as long.
func hangs(t *testing.T, ns *namespace.Namespace) {
	t.Helper()
	s := newSibling(t)
	c, _ := once(t, s, ns.Enter()...)
	if c.Status != 2 || !strings.Contains(string(c.Stderr), failed) || c.Duration > 45*time.Second {
		t.Errorf("status %d after %v: %s", c.Status, c.Duration, c.Stderr)
	}
	if d := events(t, s, "decision"); len(d) != 0 {
		t.Errorf("recorded %+v", d)
	}
}

// stub replaces getent by a script, with the real one in the same directory.
func stub(ns *namespace.Namespace, body string) error {
	real, err := os.ReadFile("/usr/bin/getent")
	if err != nil {
		return err
	}
	// A directory that exists inside only holds the real one.
	if err := ns.Empty("/run"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "getent-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "getent")
	if err := testutil.WriteProgram(file, real, 0o755); err != nil {
		return err
	}
	if _, err := ns.Run("cp", file, "/run/getent"); err != nil {
		return err
	}
	return ns.Put("/usr/bin/getent", "#!/bin/bash\n"+strings.ReplaceAll(body, "/usr/bin/getent.real", "/run/getent")+"\n", 0o755)
}

// TestNameServiceResultIsReused: B11, later results of the name service in the job have
// no effect.
func TestNameServiceResultIsReused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it replaces getent in a namespace")
	}
	t.Parallel()
	for name, body := range map[string]string{"B11 gone after config": "exit 1", "B11 another uid after config": "echo 'x:x:0:0::/:/bin/sh'", "B11 hangs after config": "exec sleep 1000"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := namespace.Start(t)
			s := newSibling(t)
			r := in(ns, s)
			r.Hooks.Ended = func(c fakerunner.Call) {
				if c.Stage == "config" {
					testutil.Must(t, stub(ns, body))
				}
			}
			ran(t, s, r.Run(s.Job("id -un")), "")
		})
	}
}
