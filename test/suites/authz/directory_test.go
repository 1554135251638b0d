package authz

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/ldap"
	"jacamar-ci/test/harness/setup/namespace"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// home creates the home directory of an account that the machine does not have.
func home(t *testing.T, s *site.Site, name string, uid int) string {
	t.Helper()
	dir := filepath.Join(s.Dir, "home-"+name)
	testutil.Must(t, errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, uid, uid)))
	return dir
}

// unknownHere checks that the machine itself does not have the account.
func unknownHere(t *testing.T, name string) {
	t.Helper()
	if out, err := exec.Command("getent", "passwd", name).Output(); err == nil {
		t.Fatalf("the machine has %s: %s", name, out)
	}
}

// TestDirectory: B11, an account that exists only in LDAP runs a job, with its
// groups there; and B5, an account of the machine has its groups there too.
func TestDirectory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with a name service of its own")
	}
	t.Parallel()
	const name, uid = "jci-ldap", 31001
	s := newSibling(t)
	dir := home(t, s, name, uid)
	d := ldap.Start(t,
		[]ldap.Person{{Name: name, UID: uid, Home: dir, Shell: "/bin/bash"}, {Name: "jci-ldaproot", UID: 0, Home: dir, Shell: "/bin/bash"}},
		[]ldap.Group{{Name: "ldap-hpc", GID: 31100, Members: []string{name, s.Account.Name}}, {Name: "ldap-guests", GID: 31101, Members: []string{"jci-other"}}})
	ns := namespace.Start(t)
	d.Serve(t, ns)
	unknownHere(t, name)
	if out, err := ns.Run("getent", "passwd", name); err != nil || !strings.HasPrefix(out, name+":") {
		t.Fatalf("%q, %v: the namespace does not have the account either", out, err)
	}
	here := func(all []attempt) {
		for _, a := range all {
			a.runner = func(s *site.Site) *fakerunner.Runner { return in(ns, s) }
			t.Run(a.name, a.try)
		}
	}
	here([]attempt{
		{name: "B11 account in LDAP", job: by(name), as: name, see: func(t *testing.T, _ *site.Site, r fakerunner.Result) {
			if got := printed(t, r, "groups"); !slices.Equal(got, []string{"31001", "31100"}) {
				t.Errorf("groups %v", got)
			}
		}},
		{name: "B8 allowed by a group in LDAP", job: by(name), change: auth("groups_allowlist", names{"ldap-hpc"}), as: name},
		{name: "B8 not allowed by a group in LDAP", job: by(name), change: auth("groups_allowlist", names{"ldap-guests"}), rule: "no_allowlist_match"},
		{name: "B8 blocked by a group in LDAP", job: by(name), change: auth("groups_blocklist", names{"ldap-hpc"}), rule: "groups_blocklist"},
		{name: "B5 account of the machine, group in LDAP", job: by(s.Account.Name), change: auth("groups_allowlist", names{"ldap-hpc"}), as: s.Account.Name},
		{name: "B2 root in LDAP", job: by("jci-ldaproot"), rule: "root"},
		{name: "B11 unknown in LDAP too", job: by("jci-nobody-at-all"), rule: "account_unknown"},
	})
	// Without the directory no job runs as another account, and the stage ends soon.
	d.Stop()
	other := newSibling(t)
	j := by(name)(other)
	c, _ := onceOf(t, other, j, ns.Enter()...)
	if c.Status != 2 || len(c.Stdout) != 0 || c.Duration > 45*time.Second {
		t.Errorf("status %d after %v: %q", c.Status, c.Duration, c.Stdout)
	}
}

// TestExtraUsers: B11, an account outside /etc/passwd, without an LDAP server.
func TestExtraUsers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes a namespace with a name service of its own")
	}
	t.Parallel()
	debian.Need(t, map[string]string{"/usr/lib/libnss_extrausers.so.2": "libnss-extrausers"})
	const name, uid = "jci-extra", 31002
	s := newSibling(t)
	ns := namespace.Start(t)
	testutil.Must(t, os.MkdirAll("/var/lib/extrausers", 0o755))
	testutil.Must(t, ns.Empty("/var/lib/extrausers"))
	testutil.Must(t, ns.Put("/etc/nsswitch.conf", "passwd: files extrausers\ngroup: files extrausers\nshadow: files extrausers\nhosts: files dns\n", 0o644))
	for file, line := range map[string]string{
		"passwd": fmt.Sprintf("%s:x:%d:%[2]d::%s:/bin/bash", name, uid, home(t, s, name, uid)),
		"group":  fmt.Sprintf("%s:x:%d:\nextra:x:31200:%[1]s", name, uid),
		"shadow": name + ":*:19000:0:99999:7:::",
	} {
		_, err := ns.Run("sh", "-c", "umask 022; printf '%s\n' \"$1\" >/var/lib/extrausers/"+file, "sh", line)
		testutil.Must(t, err)
	}
	unknownHere(t, name)
	attempt{
		name: "B11 account in extrausers", job: by(name), as: name, change: auth("groups_allowlist", names{"extra"}),
		runner: func(s *site.Site) *fakerunner.Runner { return in(ns, s) },
	}.try(t)
}
