package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
)

// original is the package of the project that had this name before, at its last version.
const original = `Name: %s
Version: 0.30.0
Release: 1
Summary: another program
License: Apache-2.0
BuildArch: noarch
%%description
another program
%%files
`

// TestReplacesTheOriginal: the packages are an update of those that had their names
// before, and those are none of these.
func TestReplacesTheOriginal(t *testing.T) {
	s := rootSite(t)
	for _, name := range flavours {
		root := emptyRoot(t, s.Dir, s.Accounts)
		dir := t.TempDir()
		spec := filepath.Join(dir, "original.spec")
		if err := os.WriteFile(spec, fmt.Appendf(nil, original, name), 0o644); err != nil {
			t.Fatal(err)
		}
		must(t, "rpmbuild", "--quiet", "--define", "_topdir "+dir, "--define", "_rpmdir "+dir, "-bb", spec)
		former := find(t, filepath.Join(dir, "noarch"), name, ".rpm")
		if out, err := rpmInstall(root, former); err != nil {
			t.Fatal(out, err)
		}
		if out, err := run("", "rpm", "--root", root, "-U", "--nodeps", packages(t, name)); err != nil {
			t.Errorf("the update is refused: %v: %s", err, out)
		}
		if out, err := run("", "rpm", "--root", root, "-U", former); err == nil || !strings.Contains(out, "newer") {
			t.Errorf("the former package is an update: %v: %s", err, out)
		}
	}
}

// TestInstallTakesWhatIsBuilt: root needs no Go for make install.
func TestInstallTakesWhatIsBuilt(t *testing.T) {
	tree := t.TempDir()
	for _, name := range []string{"Makefile", "VERSION", "LICENSE", "README.md", "CHANGELOG.md", "docs", "rpm", "test/suites/install/testdata"} {
		to := filepath.Join(tree, filepath.Dir(name))
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		must(t, "cp", "-r", filepath.Join(top, name), to)
	}
	if err := os.Mkdir(filepath.Join(tree, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"jacamar-auth", "jacamar", "jacamar-admin", "jacamar-noauth", "jacamar-keys"} {
		if err := os.WriteFile(filepath.Join(tree, "bin", program), []byte("built\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("make", "--no-print-directory", "install", "DESTDIR="+tree+"/dest", "PREFIX=/opt/x")
	cmd.Dir, cmd.Env = tree, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + tree}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "go build") {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(tree + "/dest/opt/x/bin/jacamar-auth"); err != nil || string(text) != "built\n" {
		t.Errorf("%v, installed is %q", err, text)
	}
}

// TestSign signs a package and the checksums with a key of its own, and verifies both.
func TestSign(t *testing.T) {
	debian.Need(t, map[string]string{"/usr/bin/gpg": "gnupg"})
	if _, err := exec.LookPath("rpmsign"); err != nil {
		t.Skip("rpmsign is not installed")
	}
	dist, home := t.TempDir(), t.TempDir()
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GNUPGHOME", home)
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--kill", "all").Run() })
	must(t, "cp", packages(t, flavours[0]), dist)
	must(t, "gpg", "--batch", "--passphrase", "", "--quick-generate-key", "test@example.org", "rsa2048", "sign", "1d")
	must(t, "sh", "-c", "cd '"+dist+"' && sha256sum *.rpm >SHA256SUMS")
	if _, err := run(top, "make", "--no-print-directory", "sign", "DIST="+dist); err == nil {
		t.Error("it signs without a key")
	}
	if _, err := run(top, "make", "--no-print-directory", "sign", "DIST="+dist, "KEY=test@example.org"); err != nil {
		t.Fatal(err)
	}
	must(t, "gpg", "--verify", dist+"/SHA256SUMS.asc", dist+"/SHA256SUMS")
	must(t, "sh", "-c", "cd '"+dist+"' && sha256sum --check SHA256SUMS")
	must(t, "sh", "-c", "gpg --armor --export test@example.org >'"+dist+"/key'")
	must(t, "rpmkeys", "--dbpath", dist+"/db", "--import", dist+"/key")
	if out, err := run("", "rpmkeys", "--dbpath", dist+"/db", "--checksig", "--verbose", find(t, dist, "jacamar-ci", ".rpm")); err != nil || !strings.Contains(out, "RSA") || strings.Contains(out, "NOKEY") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestProfile: root finds the programs and their manuals, and others get neither.
func TestProfile(t *testing.T) {
	file := filepath.Join(shared(t), "profile.sh")
	const show = `. "$1"; echo "$PATH $MANPATH"`
	out := must(t, "sh", "-c", show, "sh", file)
	if is := strings.Contains(out, ":/opt/jacamar/bin") && strings.Contains(out, ":/opt/jacamar/share/man"); is != (os.Geteuid() == 0) {
		t.Errorf("%s", out)
	}
	// What it does for another account does not depend on who asks.
	if out := must(t, "sh", "-c", `id() { echo 1000; }; . "$1"; echo "$PATH"`, "sh", file); strings.Contains(out, "/opt/jacamar") {
		t.Errorf("another account has %s", out)
	}
}
