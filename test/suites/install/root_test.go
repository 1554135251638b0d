package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"jacamar-ci/test/harness/site"
)

// emptyRoot is a root with only a shell for the packages' scripts, the group jacamar-ops
// and the accounts root, gitlab-runner and jacamar, which have the ids of real accounts
// here: installed files belong to those.
func emptyRoot(t *testing.T, parent string, accounts site.Accounts) string {
	t.Helper()
	// A gid that no system account has: the real ones are not all below 1000.
	passwd, group := "root:x:0:0::/root:/bin/sh\n", "root:x:0:\njacamar-ops:x:4242424:\n"
	for name, real := range map[string]string{"gitlab-runner": accounts.Runner, "jacamar": accounts.Helper} {
		account, err := site.LookupAccount(real)
		if err != nil {
			t.Fatal(err)
		}
		passwd += fmt.Sprintf("%s:x:%d:%d::/:/bin/sh\n", name, account.UID, account.GID)
		group += fmt.Sprintf("%s:x:%d:\n", name, account.GID)
	}
	root, err := os.MkdirTemp(parent, "root-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	err = os.Chmod(root, 0o755)
	for dir, mode := range map[string]os.FileMode{"bin": 0o755, "dev": 0o755, "etc": 0o755, "etc/gitlab-runner": 0o755} {
		err = errors.Join(err, os.MkdirAll(filepath.Join(root, dir), mode))
	}
	err = errors.Join(err,
		os.WriteFile(root+"/etc/passwd", []byte(passwd), 0o644), os.WriteFile(root+"/etc/group", []byte(group), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	// A container may not be allowed to make the device; a file serves as well.
	if syscall.Mknod(root+"/dev/null", syscall.S_IFCHR|0o666, 1<<8|3) != nil {
		err = os.WriteFile(root+"/dev/null", nil, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
	must(t, "cp", "/usr/bin/busybox", root+"/bin/busybox")
	getent := []byte("#!/bin/sh\nexec grep \"^$2:\" \"/etc/$1\"\n")
	if err := os.WriteFile(root+"/bin/getent", getent, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, applet := range []string{"sh", "id", "grep"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "rpm", "--root", root, "--initdb")
	return root
}

func rpmInstall(root string, args ...string) (string, error) {
	return run("", append([]string{"rpm", "--root", root, "-i"}, args...)...)
}

// installed writes the table of what is on disk, for the paths of a package.
func onDisk(t *testing.T, root, table string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(table) {
		path := strings.Fields(line)[3]
		// Ids are those of the root's own passwd and group.
		text := must(t, "chroot", root, "/bin/busybox", "stat", "-c", "%A %U:%G", path)
		fmt.Fprintf(&out, "%s %s %s\n", strings.TrimSpace(text), fileCaps(t, root+path), path)
	}
	return out.String()
}

func fileCaps(t *testing.T, path string) string {
	t.Helper()
	out := strings.TrimSpace(must(t, "/usr/sbin/getcap", path))
	if out == "" {
		return "-"
	}
	parts := strings.Fields(out)
	return parts[len(parts)-1]
}

// order sorts the names of capabilities as rpm has them.
func order(table string) string {
	return strings.ReplaceAll(table, "cap_setuid,cap_setgid", "cap_setgid,cap_setuid")
}

func sameAsTable(t *testing.T, root, name string) {
	t.Helper()
	table, err := os.ReadFile(filepath.Join(top, "rpm", name+".files"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(table), order(onDisk(t, root, string(table)))); diff != "" {
		t.Error(diff)
	}
}

// TestExclusive: one flavour cannot be installed together with the other.
func TestExclusive(t *testing.T) {
	s := rootSite(t)
	root := emptyRoot(t, s.Dir, s.Accounts)
	// rpm does not know the libraries of Debian: only these dependencies are ignored.
	provide := packages(t, flavours[0])
	if out, err := rpmInstall(root, "--nodeps", provide); err != nil {
		t.Fatal(out, err)
	}
	out, err := rpmInstall(root, "--test", packages(t, flavours[1]))
	if err == nil || !strings.Contains(out, "conflicts with") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestRelocated: the tree can be put elsewhere and works there.
func TestRelocated(t *testing.T) {
	s := rootSite(t)
	root := emptyRoot(t, s.Dir, s.Accounts)
	if out, err := rpmInstall(root, "--nodeps", "--prefix", "/apps/jacamar", packages(t, flavours[0])); err != nil {
		t.Fatal(out, err)
	}
	if out := must(t, root+"/apps/jacamar/bin/jacamar-auth", "--version"); !strings.HasPrefix(out, "Version: ") {
		t.Errorf("%q", out)
	}
	if _, err := os.Stat(root + "/opt/jacamar"); err == nil {
		t.Error("there is a tree at the old path as well")
	}
}
