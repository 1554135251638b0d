package authz

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/ldap"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// shadowed is a namespace whose only entries of shadow(5) are these, in a file of
// root's that the members of a group may read as well.
func shadowed(t *testing.T, entries, group string) *namespace.Namespace {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/lib/libnss_extrausers.so.2": "libnss-extrausers"})
	testutil.Must(t, os.MkdirAll("/var/lib/extrausers", 0o755))
	ns := namespace.Start(t)
	testutil.Must(t, ns.Put("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: extrausers\nhosts: files dns\n", 0o644))
	testutil.Must(t, ns.Empty("/var/lib/extrausers"))
	_, err := ns.Run("sh", "-c", `cd /var/lib/extrausers && printf '%s' "$1" >shadow && chmod 0640 shadow && chgrp "$2" shadow`, "sh", entries, group)
	testutil.Must(t, err)
	return ns
}

// machines is what each machine has.
const machines = "daemon:*:19000:0:99999:7:::\n"

// serviceRecords are the records of a site whose service has another account.
func serviceRecords(t *testing.T, s *site.Site) (all []record) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.StateDir, config.LogName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r record
		testutil.Must(t, json.Unmarshal([]byte(line), &r))
		all = append(all, r)
	}
	return all
}

// TestLockedAccounts: B10, in each deployment a locked or expired account is refused
// where shadow(5) can be read, and where the site wants that to be known.
func TestLockedAccounts(t *testing.T) {
	const (
		locked  = ":!$6$salt$hash:19000:0:99999:7:::\n"
		expired = ":*:19000:0:99999:7::1:\n"
		both    = ":!$6$salt$hash:19000:0:99999:7::1:\n"
		usable  = ":*:19000:0:99999:7:::\n"
	)
	cases := []struct {
		name     string
		entry    string // of the job's account, "" for none
		readable bool   // by the account that reads shadow(5)
		required bool
		rule     string // that refuses, "" for a job that runs
		root     string // that refuses where root reads it
		check    string // the result of the check, for another account than root
	}{
		{"locked", locked, true, false, "locked", "locked", "ok"},
		{"expired", expired, true, false, "expired", "expired", "ok"},
		{"locked and expired", both, true, true, "locked", "locked", "ok"},
		{"usable", usable, true, true, "", "", "ok"},
		{"locked, not to be read", both, false, false, "", "locked", "warn"},
		{"locked, not to be read and required", both, false, true, "require_shadow", "locked", "fail"},
		{"usable, not to be read and required", usable, false, true, "require_shadow", "", "fail"},
		{"of a directory", "", true, false, "", "", "ok"},
		{"of a directory, and required", "", true, true, "require_shadow", "require_shadow", "ok"},
	}
	for _, d := range site.Deployments() {
		if !d.Root {
			continue // the account of a job is the runner's own
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			for _, c := range cases {
				t.Run("B10 "+c.name, func(t *testing.T) {
					rule, result := c.rule, c.check
					if d.Name == "root" {
						rule, result = c.root, "ok"
					}
					// sudo checks by PAM only the account that calls it.
					entries := machines + s.Accounts.Runner + usable
					if c.entry != "" {
						entries += s.Account.Name + c.entry
					}
					group := "root"
					if c.readable {
						group = map[string]string{"root": "root", "capabilities": s.Accounts.Helper, "sudo": s.Accounts.Runner}[d.Name]
					}
					ns := shadowed(t, entries, group)
					testutil.Must(t, s.Reconfigure(func(c2 site.Config) {
						c2.Set("auth", "require_shadow", c.required)
						c2.Set("auth", "logging", site.Table{"enabled": true})
					}))
					if err := os.Remove(filepath.Join(s.StateDir, config.LogName)); err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
					r := inside(ns, s)
					job := r.Run(s.Job("id -un"))
					decision := record{}
					for _, e := range serviceRecords(t, s) {
						if e.Event == "decision" {
							decision = e
							break
						}
					}
					switch {
					case rule == "" && (job.Outcome != fakerunner.Success || decision.Decision != "allow"):
						t.Errorf("the job ended as %s, recorded %+v:\n%s", job.Outcome, decision, output(job))
					case rule != "":
						stopped(t, s, job, refused)
						if decision.Decision != "deny" || decision.Rule != rule {
							t.Errorf("recorded %+v, want a denial by %s", decision, rule)
						}
					}
					if got := shadowCheck(t, s, ns); got != result {
						t.Errorf("check reports %q, want %q", got, result)
					}
				})
			}
		})
	}
}

// shadowCheck is what check reports of shadow(5): as root where jacamar-auth has
// capabilities, else as the account of the runner's service.
func shadowCheck(t *testing.T, s *site.Site, ns *namespace.Namespace) string {
	t.Helper()
	argv := []string{s.Admin, "check", "--json", "--configuration", s.ConfigFile}
	if launch := inside(ns, s).Hooks.Launch; launch != nil && s.StateOwner() == nil {
		argv = append(launch("check"), argv...)
	} else {
		argv = ns.Enter(argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.Output()
	var r report
	if jerr := json.Unmarshal(out, &r); jerr != nil {
		t.Fatalf("%v, %v: %s", err, jerr, out)
	}
	for _, l := range r.Lines {
		if l.Check == "shadow" {
			return l.Result
		}
	}
	return "nothing"
}

// TestLockedInADirectory: B10, accounts that a directory has locked, as described in
// docs/authorization.md: by default their jobs run, and either method refuses them.
func TestLockedInADirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with a name service of its own")
	}
	t.Parallel()
	const free, locked, uid = "jci-ldapfree", "jci-ldaplocked", 31010
	s := newSibling(t)
	d := ldap.Start(t, []ldap.Person{
		{Name: free, UID: uid, Home: home(t, s, free, uid), Shell: "/bin/bash"},
		{Name: locked, UID: uid + 1, Home: home(t, s, locked, uid+1), Shell: "/bin/bash", Locked: true},
	}, nil)
	unfiltered, filtered := namespace.Start(t), namespace.Start(t)
	d.Serve(t, unfiltered)
	d.Serve(t, filtered, "filter passwd (&(objectClass=posixAccount)"+ldap.Unlocked+")")
	script := func(s *site.Site, c site.Config) {
		testutil.Must(t, testutil.WriteProgram(scriptFile(s), []byte(documentedScript(t, d)), 0o700))
		c.Set("auth", "runas", site.Table{"validation_script": scriptFile(s)})
	}
	for _, a := range []struct {
		attempt
		ns *namespace.Namespace
	}{
		{attempt{name: "B10 nothing keeps it out", job: by(locked), as: locked}, unfiltered},
		{attempt{name: "B10 the name service does", job: by(locked), rule: "account_unknown"}, filtered},
		{attempt{name: "B10 and no other", job: by(free), as: free}, filtered},
		{attempt{name: "B10 the script does", job: by(locked), change: script, rule: "runas"}, unfiltered},
		{attempt{name: "B10 and no other by the script", job: by(free), change: script, as: free}, unfiltered},
		{attempt{name: "B10 required", job: by(free), change: auth("require_shadow", true), as: free}, unfiltered},
	} {
		a.runner = func(s *site.Site) *fakerunner.Runner { return in(a.ns, s) }
		t.Run(a.name, a.try)
	}
	d.Stop()
	s2 := newSibling(t)
	reconfigure(t, s2, script)
	attempt{rule: "runas"}.judge(t, s2, in(unfiltered, s2).Run(by(free)(s2)))
}

// documentedScript is the script of docs/authorization.md, for the test's directory.
func documentedScript(t *testing.T, d *ldap.Directory) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/authorization.md")
	testutil.Must(t, err)
	_, rest, found := strings.Cut(string(page), "  ```bash\n")
	block, _, ended := strings.Cut(rest, "  ```\n")
	if !found || !ended {
		t.Fatal("docs/authorization.md has no script")
	}
	text := strings.ReplaceAll("\n"+block, "\n  ", "\n")[1:]
	for _, r := range [][2]string{{"ldaps://ldap.example.com", d.URI()}, {"dc=example,dc=com", ldap.Suffix}, {"(!(nsAccountLock=TRUE))", ldap.Unlocked}} {
		if !strings.Contains(text, r[0]) {
			t.Fatalf("the script has no %q:\n%s", r[0], text)
		}
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	return text
}
