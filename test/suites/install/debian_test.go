package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/setup/debian"
)

// freshDebian gives one process a machine of its own: /opt, /etc, /var/lib, and a dpkg
// that has no package.
const freshDebian = `set -eu
mount -t tmpfs -o mode=0755 none /opt
mount -t tmpfs -o mode=0755 none /usr/lib/tmpfiles.d
mount -t tmpfs -o mode=0755 none /usr/lib/sysusers.d
mount -t tmpfs -o mode=0755 none /usr/share/doc
cp -a /etc "$SCRATCH/etc" && mount --bind "$SCRATCH/etc" /etc
mount -t tmpfs -o mode=0755 none /var/lib
mkdir -p /var/lib/dpkg/info /var/lib/dpkg/updates /var/lib/dpkg/triggers
: >/var/lib/dpkg/status
dpkg --force-depends --install "$PACKAGE"
stat -c '%A %U:%G %n' /opt/jacamar/bin/* /var/lib/jacamar /etc/logrotate.d/jacamar-ci /etc/profile.d/jacamar-ci.sh
/usr/sbin/getcap /opt/jacamar/bin/jacamar-auth
grep -w su /etc/logrotate.d/jacamar-ci
/opt/jacamar/bin/jacamar-admin --version
test -s /usr/share/doc/jacamar-ci/README.md
`

// TestDebianPackages builds both, installs each on a machine of its own, and compares what
// is there with the tables of the RPMs.
func TestDebianPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("makes packages with nfpm, which is fetched and built")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: it installs packages")
	}
	needRPM(t)
	debian.Need(t, map[string]string{"/usr/bin/dpkg-deb": "dpkg", "/usr/sbin/getcap": "libcap2-bin"})
	dist := t.TempDir()
	if _, err := run(top, "make", "--no-print-directory", "deb", "DIST="+dist); err != nil {
		t.Fatal(err)
	}
	for name, caps := range map[string]bool{"jacamar-ci": false, "jacamar-ci-caps": true} {
		files, err := filepath.Glob(filepath.Join(dist, name+"_*.deb"))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		version := strings.TrimSpace(must(t, "dpkg-deb", "--field", files[0], "Version"))
		must(t, "dpkg", "--compare-versions", version, "gt", "0.30.0")
		scratch := t.TempDir()
		cmd := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-c", freshDebian)
		cmd.Env = append(os.Environ(), "SCRATCH="+scratch, "PACKAGE="+files[0])
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		want := []string{"-rwx------ root:root /opt/jacamar/bin/jacamar-auth", "drwx------ root:root /var/lib/jacamar", "su root root"}
		if caps {
			want = []string{"-r-xr-x--- root:gitlab-runner /opt/jacamar/bin/jacamar-auth", "cap_setgid,cap_setuid=ep", "drwx------ jacamar:jacamar /var/lib/jacamar", "su jacamar jacamar"}
		}
		for _, line := range append(want, "-rwx--x--x root:root /opt/jacamar/bin/jacamar\n", "-rwx--x--x root:root /opt/jacamar/bin/jacamar-keys") {
			if !strings.Contains(string(out), line) {
				t.Errorf("%s: no %q in\n%s", name, line, out)
			}
		}
	}
}
