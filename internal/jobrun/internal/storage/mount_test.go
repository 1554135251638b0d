package storage

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const table = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:20 / /proc rw,relatime shared:5 master:6 - proc proc rw
30 22 0:31 /sub /mnt/a\040b\134c rw - nfs4 server:/export\040x rw,vers=4.2
31 22 0:31 / /broken
32 22 0:31 / /no-source rw - nfs4
`

func TestFindMount(t *testing.T) {
	for id, want := range map[uint64]mount{
		22: {"/", "/dev/vda"}, 23: {"/proc", "proc"}, 30: {`/mnt/a b\c`, "server:/export x"}, 32: {"/no-source", ""},
	} {
		if got, ok := findMount(table, id); !ok || got != want {
			t.Errorf("%d: %+v %v, want %+v", id, got, ok, want)
		}
	}
	for _, id := range []uint64{0, 2, 31, 99} {
		if got, ok := findMount(table, id); ok {
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

func TestMountOfSomethingThatIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	if a, b := mountOf(dir), mountOf(filepath.Join(dir, "a", "b", "c")); a != b || a.point == "" {
		t.Errorf("%+v and %+v", a, b)
	}
	if m := mountOf("/proc/self/x"); m.point != "/proc" {
		t.Errorf("%+v", m)
	}
}

// TestMountIDTellsBindMountsApart: the device number does not.
func TestMountIDTellsBindMountsApart(t *testing.T) {
	here := tmpfs(t, "size=1m")
	there := filepath.Join(here, "bind")
	if err := os.Mkdir(there, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(here, there, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("cannot make a bind mount here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(there, unix.MNT_DETACH) })
	a, b := open(t, here), open(t, there)
	if MountID(a) == MountID(b) || MountID(a) == 0 {
		t.Errorf("%d and %d", MountID(a), MountID(b))
	}
	for _, fd := range []int{a, b} {
		if statx, proc := MountID(fd), mountIDByProc(fd); statx != proc {
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
