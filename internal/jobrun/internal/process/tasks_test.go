package process

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTasksShort(t *testing.T) {
	for _, tt := range []struct {
		tasks Tasks
		want  bool
		text  string
	}{
		{Tasks{10, 0}, false, "no more processes"},
		{Tasks{10, 18}, false, "10 processes and threads"},
		{Tasks{11, 18}, true, "limit is 18 (ulimit -u)"},
		{Tasks{30, 18}, true, "your account has 30"},
	} {
		if got := tt.tasks.Short(8); got != tt.want || !strings.Contains(tt.tasks.String(), tt.text) {
			t.Errorf("%+v: %v, %s", tt.tasks, got, tt.tasks)
		}
	}
}

// TestTasksBefore: the tasks of the host are counted instead of the user's where even they
// leave enough, and the user's where they do not or are not known.
func TestTasksBefore(t *testing.T) {
	for _, tt := range []struct {
		limit, host int // host -1: not known
		want        Tasks
		counted     bool
	}{
		{100, 92, Tasks{92, 100}, false},
		{100, 93, Tasks{40, 100}, true},
		{100, -1, Tasks{40, 100}, true},
		{0, 5000, Tasks{5000, 0}, false},
		{0, -1, Tasks{}, false},
		{20, 5000, Tasks{40, 20}, true},
	} {
		counted := false
		got := tasksBefore(8, tt.limit, func() (int, bool) { return tt.host, tt.host >= 0 }, func() int { counted = true; return 40 })
		if got != tt.want || counted != tt.counted {
			t.Errorf("limit %d, %d on the host: %+v, counted %v", tt.limit, tt.host, got, counted)
		}
	}
	for limit, want := range map[uint64]int{0: 0, 4096: 4096, 1<<31 - 1: 1<<31 - 1, 1 << 31: 0, 1<<64 - 1: 0} {
		if got := finite(limit); got != want {
			t.Errorf("the limit %d is %d, want %d", limit, got, want)
		}
	}
	if got, here := TasksBefore(8), taskLimit(); got.Limit != here || here > 0 && got.Count == 0 {
		t.Errorf("%+v where the limit is %d", got, here)
	}
}

// TestCountTasks: this process's own tasks are counted where its user has a limit on them.
func TestCountTasks(t *testing.T) {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &before); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &before); err != nil {
			t.Error(err)
		}
	}()
	soft := min(before.Max, 1<<20)
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: soft, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	if got := CountTasks(); got.Count == 0 || uint64(got.Limit) != soft {
		t.Errorf("%+v, want a limit of %d", got, soft)
	}
}
