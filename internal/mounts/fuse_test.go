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
			out, err := again(t, list, "TestMounter")
			if err != nil || !strings.Contains(out, "fuse 4242 true; tmpfs 0 false; disk 0 false") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// again runs a test in a mount namespace of its own, after a command of the shell.
func again(t *testing.T, command, test string) (out string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", command+` && exec "$0" -test.run "^$1\$"`, self, test)
	cmd.Env = append(os.Environ(), "MOUNTS_TEST_DIR="+t.TempDir())
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// TestIDWithoutProc: statx(2) has the id as well.
func TestIDWithoutProc(t *testing.T) {
	if os.Getenv("MOUNTS_TEST_DIR") != "" {
		fmt.Println("id", ID(open(t, "/")), "by /proc", idByProc(open(t, "/")))
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	var st unix.Statx_t
	if err := unix.Statx(open(t, "/"), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st); err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		t.Skipf("this kernel's statx has no mount id: %v", err)
	}
	out, err := again(t, "mount -t tmpfs none /proc", "TestIDWithoutProc")
	if err != nil || !strings.HasPrefix(out, "id ") || strings.HasPrefix(out, "id 0 ") || !strings.Contains(out, " by /proc 0\n") {
		t.Errorf("%v: %s", err, out)
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
