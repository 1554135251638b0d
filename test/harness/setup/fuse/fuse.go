// Package fuse mounts a directory a second time through bindfs, a FUSE file system
// (https://bindfs.org), in a mount namespace of a test's own. FUSE has no rename
// with flags for such a daemon, and bindfs can add rights to what is made, as access
// control lists of some cluster file systems do.
package fuse

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/namespace"
)

// Programs are what it needs, as files and the Debian packages that have them.
func Programs() map[string]string {
	return map[string]string{"/usr/bin/bindfs": "bindfs", "/usr/bin/fusermount3": "fuse3"}
}

// Bind mounts the directory source on dir inside the namespace, until the test is
// over, with bindfs(1)'s own options. The test is skipped where there is no FUSE.
func Bind(t testing.TB, n *namespace.Namespace, source, dir string, options ...string) {
	t.Helper()
	bind(t, n, nil, source, dir, options)
}

// BindAs is Bind by an ordinary account, which a site can allow to let others use what
// it mounts (fuse.conf of fuse(8)).
func BindAs(t testing.TB, n *namespace.Namespace, uid, gid uint32, source, dir string, options ...string) {
	t.Helper()
	debian.Need(t, Programs())
	if err := n.Put("/etc/fuse.conf", "user_allow_other\n", 0o644); err != nil {
		t.Fatal(err)
	}
	as := []string{"/usr/bin/setpriv", fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", gid), "--clear-groups"}
	bind(t, n, as, source, dir, options)
}

func bind(t testing.TB, n *namespace.Namespace, as []string, source, dir string, options []string) {
	t.Helper()
	debian.Need(t, Programs())
	device(t, n)
	// Every account may use it, as a file system of the site.
	argv := n.Enter(slices.Concat(as, []string{"/usr/bin/bindfs", "-f", "-o", "allow_other"}, options, []string{source, dir})...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	output := make(chan string, 1)
	go func() {
		var text strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); {
			text.WriteString(lines.Text() + "\n")
		}
		output <- text.String()
	}()
	t.Cleanup(func() {
		if _, err := n.Run("umount", "--lazy", dir); err != nil {
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); !mounted(n, dir); time.Sleep(10 * time.Millisecond) {
		select {
		case text := <-output:
			t.Fatalf("bindfs ended: %s", text)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("bindfs did not mount the directory in time")
		}
	}
}

// mounted reports whether the directory is a mount of bindfs inside.
func mounted(n *namespace.Namespace, dir string) bool {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", n.PID()))
	return err == nil && strings.Contains(string(table), " "+dir+" ") && strings.Contains(string(table), "fuse")
}

// device ensures that all processes inside have /dev/fuse, if necessary in a /dev of
// the namespace's own.
func device(t testing.TB, n *namespace.Namespace) {
	t.Helper()
	if systems, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(systems), "\tfuse\n") {
		t.Skip("this kernel has no FUSE")
	}
	info, err := os.Stat("/dev/fuse")
	if err == nil && info.Mode().Perm() == 0o666 {
		return
	}
	if _, err := n.Run("/bin/sh", "-c", `set -e
if [ -e /dev/fuse ]; then
  mount -t tmpfs -o mode=0755 tmpfs /mnt
  mknod -m 666 /mnt/fuse c 10 229; mount --bind /mnt/fuse /dev/fuse
  exit
fi
mount -t tmpfs -o mode=0755 tmpfs /dev
mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/zero c 1 5; mknod -m 666 /dev/full c 1 7
mknod -m 666 /dev/random c 1 8; mknod -m 666 /dev/urandom c 1 9; mknod -m 666 /dev/tty c 5 0
mknod -m 666 /dev/fuse c 10 229; ln -s /proc/self/fd /dev/fd`); err != nil {
		t.Skipf("there is no /dev/fuse, and it cannot be made: %v", err)
	}
}
