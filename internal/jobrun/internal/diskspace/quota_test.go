package diskspace

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestQuotaLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		quota diskQuota
		want  space
	}{
		"none":              {diskQuota{bytes: 5, files: 6}, space{usage{5, 0}, usage{6, 0}}},
		"hard":              {diskQuota{bytes: 5, blockHard: 2}, space{usage{5, 2048}, usage{}}},
		"soft, not passed":  {diskQuota{bytes: 5, blockHard: 2, blockSoft: 1}, space{usage{5, 2048}, usage{}}},
		"soft, passed":      {diskQuota{bytes: 1500, blockHard: 2, blockSoft: 1, blockTime: 99}, space{usage{1500, 1024}, usage{}}},
		"hard, soft passed": {diskQuota{bytes: 2048, blockHard: 2, blockSoft: 1, blockTime: 99}, space{usage{2048, 2048}, usage{}}},
		"soft only":         {diskQuota{bytes: 1500, blockSoft: 1, blockTime: 99}, space{usage{1500, 1024}, usage{}}},
		"files":             {diskQuota{files: 10, fileHard: 10, fileSoft: 5, fileTime: 1}, space{usage{}, usage{10, 10}}},
	} {
		if got := tt.quota.space(); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

// TestQuotaLayout compares the struct with linux/quota.h: eight numbers of 64 bits and one
// of 32.
func TestQuotaLayout(t *testing.T) {
	if got := unsafe.Sizeof(diskQuota{}); got != 72 {
		t.Errorf("struct if_dqblk has 72 bytes, ours %d", got)
	}
}

// TestNoQuota must not take an error for a quota of 0.
func TestNoQuota(t *testing.T) {
	fd, err := unix.Open("/proc", unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if s, ok := quotaOf(fd, userQuota, os.Geteuid()); ok {
		t.Errorf("/proc has a quota: %+v", s)
	}
}

// TestQuotasOf: the quotas of a directory are the user's and its group's, each only where
// there is one.
func TestQuotasOf(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory any group")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, -1, 4321); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	user, group := fmt.Sprintf("%d:%d", userQuota, os.Geteuid()), fmt.Sprintf("%d:%d", groupQuota, 4321)
	for name, tt := range map[string]struct {
		fd    int
		known string // the quotas that the file system has
		want  string
	}{
		"both":            {fd, user + " " + group, "your quota, your group's quota"},
		"the user's":      {fd, user, "your quota"},
		"the group's":     {fd, group, "your group's quota"},
		"of others":       {fd, "0:77 1:77", ""},
		"none":            {fd, "", ""},
		"of unknown file": {-1, user + " 1:0", "your quota"},
	} {
		var owners []string
		for _, q := range quotasOf(tt.fd, func(_, kind, id int) (space, bool) {
			return space{}, strings.Contains(tt.known, fmt.Sprintf("%d:%d", kind, id))
		}) {
			owners = append(owners, q.owner)
		}
		if got := strings.Join(owners, ", "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestFullQuota: the texts contain the figures of the quota that is full, and no others.
func TestFullQuota(t *testing.T) {
	half, full := space{bytes: usage{1 << 30, 2 << 30}}, space{files: usage{7, 7}}
	low := space{bytes: usage{2<<30 - 1<<20, 2 << 30}}
	for name, tt := range map[string]struct {
		quotas        []quota
		hint, warning string
		full          bool
	}{
		"none":           {nil, "your quota on /home is full", "", false},
		"none is full":   {[]quota{{"your quota", half}}, "your quota on /home is full", "", false},
		"the second one": {[]quota{{"your quota", half}, {"your group's quota", full}}, "your group's quota on /home is full: 7 of 7 files and directories", "your group's quota on /home is full: 7 of 7 files and directories", true},
		"both":           {[]quota{{"your quota", full}, {"your group's quota", full}}, "your quota on /home is full: 7 of 7 files and directories", "your quota on /home is full: 7 of 7 files and directories", true},
		"nearly":         {[]quota{{"your quota", low}}, "your quota on /home is full", "your quota on /home is nearly full: 2.0 of 2 GiB in use", false},
	} {
		if got := fullQuota(tt.quotas, "/home"); got != tt.hint {
			t.Errorf("%s: the hint is %q, want %q", name, got, tt.hint)
		}
		if got := quotaWarning(tt.quotas, func() string { return "/home" }); got != tt.warning {
			t.Errorf("%s: the warning is %q, want %q", name, got, tt.warning)
		}
		if got := isFull(half, tt.quotas); got != tt.full {
			t.Errorf("%s: full is %v", name, got)
		}
	}
	if !isFull(full, []quota{{"your quota", half}}) {
		t.Error("the file system is full, its quota is not")
	}
}

// TestDevice: the source of a mount without a device names no file of the working directory.
func TestDevice(t *testing.T) {
	fd, err := unix.Open("/proc", unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got := unix.BytePtrToString(device(fd)); !filepath.IsAbs(got) {
		t.Errorf("the device of /proc is %q, want an absolute path", got)
	}
}

// TestOrByDevice: the device is queried only where the kernel cannot query by descriptor.
func TestOrByDevice(t *testing.T) {
	const ofDevice = unix.ENXIO
	for errno, want := range map[unix.Errno]unix.Errno{
		unix.ENOSYS: ofDevice, unix.EBADF: ofDevice, 0: 0, unix.ESRCH: unix.ESRCH, unix.EPERM: unix.EPERM,
	} {
		queries := 0
		got := orByDevice(func() unix.Errno { return errno }, func() unix.Errno { queries++; return ofDevice })
		if got != want || queries != map[bool]int{true: 1}[want == ofDevice] {
			t.Errorf("%v: %v with %d queries of the device, want %v", errno, got, queries, want)
		}
	}
}
