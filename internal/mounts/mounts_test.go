package mounts

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

const table = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:20 / /proc rw,relatime shared:5 master:6 - proc proc rw
30 22 0:31 /sub /mnt/a\040b\134c rw - nfs4 server:/export\040x rw,vers=4.2
31 22 0:31 / /broken
32 22 0:31 / /no-source rw - nfs4
33 22 0:40 / /home/bob/x rw,nosuid shared:7 - fuse.bindfs /srv rw,user_id=1012,group_id=1012,allow_other
`

func TestFind(t *testing.T) {
	for id, want := range map[uint64]Mount{
		22: {"/", "ext4", "/dev/vda", []string{"rw"}}, 23: {"/proc", "proc", "proc", []string{"rw"}},
		30: {`/mnt/a b\c`, "nfs4", "server:/export x", []string{"rw", "vers=4.2"}}, 32: {"/no-source", "nfs4", "", nil},
		33: {"/home/bob/x", "fuse.bindfs", "/srv", []string{"rw", "user_id=1012", "group_id=1012", "allow_other"}},
	} {
		if got, ok := find(table, id); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %+v %v, want %+v", id, got, ok, want)
		}
	}
	for _, id := range []uint64{0, 2, 31, 99} {
		if got, ok := find(table, id); ok {
			t.Errorf("%d: %+v", id, got)
		}
	}
}

func TestUnescape(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "/a": "/a", `a\040b`: "a b", `\011\012\134`: "\t\n\\", `a\04`: `a\04`, `\999`: `\999`, `\`: `\`, `\\040`: `\ `,
	} {
		if got := unescape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestOfAMissingFile(t *testing.T) {
	dir := t.TempDir()
	if a, b := Of(dir), Of(filepath.Join(dir, "a", "b", "c")); !reflect.DeepEqual(a, b) || a.Point == "" || a.Type == "" {
		t.Errorf("%+v and %+v", a, b)
	}
	if m := Of("/proc/self/x"); m.Point != "/proc" || m.Type != "proc" {
		t.Errorf("%+v", m)
	}
}

// TestIDDiffersBetweenBindMounts: the device number does not.
func TestIDDiffersBetweenBindMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system")
	}
	here := t.TempDir()
	there := filepath.Join(here, "bind")
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(here, there, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cannot make a bind mount here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(there, unix.MNT_DETACH) })
	a, b := open(t, here), open(t, there)
	if ID(a) == ID(b) || ID(a) == 0 {
		t.Errorf("%d and %d", ID(a), ID(b))
	}
	for _, fd := range []int{a, b} {
		if statx, proc := ID(fd), idByProc(fd); statx != proc {
			t.Errorf("statx gives %d, /proc %d", statx, proc)
		}
	}
}

func open(t *testing.T, path string) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}
