package diskspace

import (
	"os"
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
