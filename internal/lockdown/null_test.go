package lockdown

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestIsNull(t *testing.T) {
	for path, want := range map[string]bool{"/dev/null": true, "/dev/zero": false, "/dev": false, "/etc/passwd": false} {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		if got := isNull(st); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	disk := unix.Stat_t{Mode: unix.S_IFBLK | 0o600, Rdev: unix.Mkdev(1, 3)}
	if isNull(disk) || isNull(unix.Stat_t{}) {
		t.Error("a disk of that number, or no file, is the null device")
	}
}
