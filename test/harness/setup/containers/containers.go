// Package containers sets up real container programs for tests: Podman and Charliecloud
// in a mount namespace of the test's own, which has the devices of an ordinary host, and
// docker-registry with TLS and a password.
package containers

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Programs are what it needs, as files and the Debian packages that have them.
func Programs() map[string]string {
	return map[string]string{
		"/usr/bin/podman": "podman", "/usr/bin/crun": "crun", "/usr/bin/conmon": "conmon", "/usr/bin/unshare": "util-linux",
		"/usr/bin/ch-run": "charliecloud-runtime", "/usr/bin/ch-image": "charliecloud-builders", "/usr/bin/mksquashfs": "squashfs-tools",
		"/usr/bin/squashfuse": "squashfuse", "/usr/bin/docker-registry": "docker-registry",
	}
}

// insideVariable marks a process that Enter has started again.
const insideVariable = "JACAMAR_TEST_CONTAINERS"

// Enter puts this process into a mount namespace of its own and starts its program again
// there; in the started program it returns nil. It does nothing for an ordinary user.
// Call it first in TestMain: everything that the process starts later is in the
// namespace, and the namespace ends with its last process.
func Enter() error {
	if os.Geteuid() != 0 || os.Getenv(insideVariable) != "" {
		return nil
	}
	// unshare(2) is for the calling thread, and so is what execve(2) keeps.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("cannot make a mount namespace: %w", err)
	}
	if err := arrange(); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(program, os.Args, append(os.Environ(), insideVariable+"=1"))
}

// arrange makes the namespace like an ordinary host: devices that users can open, and
// mounts that propagate, as systemd sets them.
func arrange() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	for device, minor := range map[string]uint32{"/dev/fuse": 229, "/dev/net/tun": 200} {
		if err := open(device, minor); err != nil {
			return fmt.Errorf("cannot make %s: %w", device, err)
		}
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

// open puts a node with mode 0666 over a device that exists (misc devices, major 10, of
// Documentation/admin-guide/devices.txt).
func open(device string, minor uint32) error {
	if _, err := os.Stat(device); err != nil {
		return nil // the kernel has none, or no node: the tests that need it skip
	}
	dir, err := os.MkdirTemp("", "device-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	node := filepath.Join(dir, "node")
	if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(unix.Mkdev(10, minor))); err != nil {
		return err
	}
	if err := os.Chmod(node, 0o666); err != nil {
		return err
	}
	return unix.Mount(node, device, "", unix.MS_BIND, "")
}
