package mounts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMounterOfTheTable(t *testing.T) {
	for _, tt := range []struct {
		mount Mount
		uid   uint32
		ok    bool
	}{
		{Mount{Type: "fuse.bindfs", Options: []string{"rw", "user_id=1012", "group_id=7"}}, 1012, true},
		{Mount{Type: "fuse", Options: []string{"user_id=0"}}, 0, true},
		{Mount{Type: "fuse.x"}, 0, false},
		{Mount{Type: "fuse.x", Options: []string{"user_id=x"}}, 0, false},
		{Mount{Type: "fuseblk", Options: []string{"user_id=1012"}}, 0, false},
		{Mount{Type: "nfs4", Options: []string{"user_id=1012"}}, 0, false},
	} {
		if uid, ok := tt.mount.mounter(); uid != tt.uid || ok != tt.ok {
			t.Errorf("%+v: %d, %v", tt.mount, uid, ok)
		}
	}
}

// TestMounter mounts FUSE for another account, with the kernel's list of connections
// and without it, in a mount namespace of its own.
func TestMounter(t *testing.T) {
	if dir := os.Getenv("MOUNTS_TEST_DIR"); dir != "" {
		report(dir)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system for another account")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("there is no /dev/fuse")
	}
	for name, list := range map[string]string{
		"by the list":  "mount -t fusectl none " + fuseControl,
		"by the table": "mount -t tmpfs none " + fuseControl,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", list+` && exec "$0" -test.run '^TestMounter$'`, "/proc/self/exe")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Args[len(cmd.Args)-1] = self
			cmd.Env = append(os.Environ(), "MOUNTS_TEST_DIR="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "fuse 4242 true; tmpfs 0 false; disk 0 false") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// report mounts and prints the result of Mounter. No process serves the mount: it is closed
// before anything other than its device is requested.
func report(dir string) {
	fuse, memory := filepath.Join(dir, "fuse"), filepath.Join(dir, "tmpfs")
	daemon, err := unix.Open("/dev/fuse", unix.O_RDWR, 0)
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=4242,group_id=4242", daemon)
	for _, err := range []error{
		err, os.Mkdir(fuse, 0o700), os.Mkdir(memory, 0o700), unix.Mount("x", fuse, "fuse.x", 0, options), unix.Mount("tmpfs", memory, "tmpfs", 0, ""),
	} {
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	var words []string
	for _, at := range [][2]string{{"fuse", fuse}, {"tmpfs", memory}, {"disk", "/"}} {
		fd, err := unix.Open(at[1], unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			fmt.Println(err)
			return
		}
		device := uint64(unix.Mkdev(8, 1))
		if at[0] != "disk" {
			var st unix.Statx_t // of what the kernel knows, without the daemon
			if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &st); err != nil {
				fmt.Println(err)
				return
			}
			device = unix.Mkdev(st.Dev_major, st.Dev_minor)
		}
		uid, ok := Mounter(fd, device)
		words = append(words, fmt.Sprint(at[0], " ", uid, " ", ok))
	}
	fmt.Println(strings.Join(words, "; "))
	_ = unix.Unmount(fuse, unix.MNT_DETACH)
}
