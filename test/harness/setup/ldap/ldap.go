// Package ldap runs a real directory for a test: slapd with accounts that exist nowhere
// else, and in a mount namespace nslcd, so that the name service there has them and the
// machine's does not.
package ldap

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/freeports"
	"jacamar-ci/test/harness/setup/namespace"
)

// Packages are what the directory needs, by a file of each.
func Packages() map[string]string {
	return map[string]string{
		"/usr/sbin/slapd": "slapd", "/usr/sbin/slapadd": "slapd", "/usr/sbin/nslcd": "nslcd",
		"/usr/lib/*/libnss_ldap.so.2": "libnss-ldapd", "/usr/bin/ldapsearch": "ldap-utils", "/usr/lib/libnss_extrausers.so.2": "libnss-extrausers",
	}
}

// Person is an account of the directory.
type Person struct {
	Name  string
	UID   int // also of its own group
	Home  string
	Shell string
	// Locked is the attribute of a directory for locked accounts.
	Locked bool
}

// Unlocked is a filter for accounts that are not locked.
const Unlocked = "(!(description=locked))"

// Group is a group of the directory.
type Group struct {
	Name    string
	GID     int
	Members []string // by name, accounts of the machine too
}

// Directory is a running slapd.
type Directory struct {
	dir, uri string
	slapd    *exec.Cmd
	out      bytes.Buffer
}

// Start runs slapd with these entries until the test ends.
func Start(t testing.TB, people []Person, groups []Group) *Directory {
	t.Helper()
	debian.Need(t, Packages())
	address, err := freeports.Address()
	if err != nil {
		t.Fatal(err)
	}
	d := &Directory{dir: t.TempDir(), uri: "ldap://" + address}
	if err := d.write(people, groups); err != nil {
		t.Fatal(err)
	}
	d.slapd = exec.Command("/usr/sbin/slapd", "-d", "0", "-h", d.uri, "-f", d.path("slapd.conf"))
	d.slapd.Stdout, d.slapd.Stderr = &d.out, &d.out
	if err := d.slapd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Stop)
	if !eventually(func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(d.uri, "ldap://"))
		if err == nil {
			conn.Close()
		}
		return err == nil
	}) {
		t.Fatalf("slapd does not listen:\n%s", d.out.String())
	}
	return d
}

// Stop ends slapd; it may be called again.
func (d *Directory) Stop() {
	if d.slapd.ProcessState == nil {
		_ = d.slapd.Process.Kill()
		_ = d.slapd.Wait()
	}
}

func (d *Directory) path(name string) string { return filepath.Join(d.dir, name) }

// Suffix is the base of all entries.
const Suffix = "dc=site,dc=example"

// URI is the address of the directory.
func (d *Directory) URI() string { return d.uri }

func (d *Directory) write(people []Person, groups []Group) error {
	if err := os.Mkdir(d.path("db"), 0o700); err != nil {
		return err
	}
	conf := fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile %s
database mdb
suffix %q
directory %s
access to * by * read
`, d.path("slapd.pid"), Suffix, d.path("db"))
	if err := os.WriteFile(d.path("slapd.conf"), []byte(conf), 0o600); err != nil {
		return err
	}
	add := exec.Command("/usr/sbin/slapadd", "-f", d.path("slapd.conf"))
	add.Stdin = strings.NewReader(entries(people, groups))
	if out, err := add.CombinedOutput(); err != nil {
		return fmt.Errorf("slapadd: %w\n%s", err, out)
	}
	return nil
}

func entries(people []Person, groups []Group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: %s\nobjectClass: dcObject\nobjectClass: organization\no: site\ndc: site\n\n", Suffix)
	for _, p := range people {
		fmt.Fprintf(&b, "dn: uid=%s,%s\nobjectClass: account\nobjectClass: posixAccount\nobjectClass: shadowAccount\nuid: %[1]s\ncn: %[1]s\nuidNumber: %[3]d\ngidNumber: %[3]d\nhomeDirectory: %[4]s\nloginShell: %[5]s\n",
			p.Name, Suffix, p.UID, p.Home, p.Shell)
		if p.Locked {
			b.WriteString("description: locked\n")
		}
		b.WriteString("\n")
		groups = append(groups, Group{Name: p.Name, GID: p.UID})
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "dn: cn=%s,%s\nobjectClass: posixGroup\ncn: %[1]s\ngidNumber: %[3]d\n", g.Name, Suffix, g.GID)
		for _, m := range g.Members {
			fmt.Fprintf(&b, "memberUid: %s\n", m)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Serve makes the name service of a namespace query the directory, after the
// machine's files, with further lines of nslcd.conf(5). It empties /run there.
func (d *Directory) Serve(t testing.TB, ns *namespace.Namespace, lines ...string) {
	t.Helper()
	conf := fmt.Sprintf("uid nslcd\ngid nslcd\nuri %s\nbase %s\nbind_timelimit 1\ntimelimit 1\nreconnect_sleeptime 1\nreconnect_retrytime 1\n", d.uri, Suffix)
	for path, text := range map[string]string{
		"/etc/nslcd.conf":    conf + strings.Join(lines, "\n") + "\n",
		"/etc/nsswitch.conf": "passwd: files ldap\ngroup: files ldap\nshadow: files ldap\nhosts: files dns\n",
	} {
		if err := ns.Put(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := ns.Empty("/run"); err != nil {
		t.Fatal(err)
	}
	if _, err := ns.Run("install", "-d", "-o", "nslcd", "-g", "nslcd", "/run/nslcd"); err != nil {
		t.Fatal(err)
	}
	argv := ns.Enter("/usr/sbin/nslcd", "-n")
	nslcd := exec.Command(argv[0], argv[1:]...)
	var out bytes.Buffer
	nslcd.Stdout, nslcd.Stderr = &out, &out
	if err := nslcd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = nslcd.Process.Kill()
		_ = nslcd.Wait()
	})
	if !eventually(func() bool { _, err := ns.Run("test", "-S", "/run/nslcd/socket"); return err == nil }) {
		t.Fatalf("nslcd does not listen:\n%s", out.String())
	}
}

func eventually(ok func() bool) bool {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-again.C {
		if ok() {
			return true
		}
	}
	return ok()
}
