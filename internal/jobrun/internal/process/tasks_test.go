package process

import (
	"strings"
	"testing"
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
