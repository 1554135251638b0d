package process

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestCountTasks(t *testing.T) {
	before := countTasks("/proc", os.Getuid())
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleeper.Process.Kill(); _ = sleeper.Wait() }()
	if before < 1 || countTasks("/proc", os.Getuid()) < 2 {
		t.Errorf("%d tasks before one more", before)
	}
	if n := countTasks("/proc", 1<<30); n != 0 {
		t.Errorf("%d tasks of nobody", n)
	}
	if n := countTasks(t.TempDir(), os.Getuid()); n != 0 {
		t.Errorf("%d tasks without /proc", n)
	}
}

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

func FuzzParseTasks(f *testing.F) {
	f.Add("Name:\tx\nUid:\t1006\t1006\t0\t1006\nThreads:\t7\n")
	f.Add("Uid:\t-5\nThreads:\t-7\n")
	f.Fuzz(func(t *testing.T, status string) {
		if uid, threads := parseTasks(status); threads < 0 || uid < -1 && !strings.Contains(status, "-") {
			t.Errorf("%d, %d", uid, threads)
		}
	})
}
