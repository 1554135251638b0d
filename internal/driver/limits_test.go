package driver

import (
	"io/fs"
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/rlimit"
	"jacamar-ci/test/harness/testutil"
)

func TestServiceTasks(t *testing.T) {
	unlimited := tasks{0, math.MaxInt}
	for name, tt := range map[string]struct {
		files map[string]string
		want  tasks
	}{
		"no limit":        {map[string]string{"/proc/self/cgroup": "0::/a.slice\n", cgroups + "/a.slice/pids.max": "max\n", cgroups + "/a.slice/pids.current": "7\n"}, unlimited},
		"nothing to read": {nil, unlimited},
		"version 2": {map[string]string{
			"/proc/self/cgroup": "0::/system.slice/r.service\n", cgroups + "/system.slice/r.service/pids.max": "100\n", cgroups + "/system.slice/r.service/pids.current": "90\n",
			cgroups + "/system.slice/pids.max": "max\n", cgroups + "/system.slice/pids.current": "95\n",
		}, tasks{90, 100}},
		"a slice above has less left": {map[string]string{
			"/proc/self/cgroup": "0::/a.slice/b\n", cgroups + "/a.slice/b/pids.max": "100\n", cgroups + "/a.slice/b/pids.current": "10\n",
			cgroups + "/a.slice/pids.max": "50\n", cgroups + "/a.slice/pids.current": "49\n",
		}, tasks{49, 50}},
		"version 1 and the other hierarchy": {map[string]string{
			"/proc/self/cgroup": "8:pids:/r\n4:memory:/m\n1:name=systemd:/s\n0::/r\n", cgroups + "/pids/r/pids.max": "20\n", cgroups + "/pids/r/pids.current": "3\n",
			cgroups + "/r/pids.max": "1\n", cgroups + "/r/pids.current": "1\n",
		}, tasks{3, 20}},
		"in a container":              {map[string]string{"/proc/self/cgroup": "8:pids:/\n", cgroups + "/pids/pids.max": "64\n", cgroups + "/pids/pids.current": "60\n"}, tasks{60, 64}},
		"in a container of version 2": {map[string]string{"/proc/self/cgroup": "0::/\n", cgroups + "/pids.max": "64\n", cgroups + "/pids.current": "60\n"}, tasks{60, 64}},
		"above the mount":             {map[string]string{"/proc/self/cgroup": "0::/../x\n", "/sys/fs/x/pids.max": "1\n", "/sys/fs/x/pids.current": "1\n"}, unlimited},
		"no such text":                {map[string]string{"/proc/self/cgroup": "0:\npids\n"}, unlimited},
		"only one of them":            {map[string]string{"/proc/self/cgroup": "0::/a\n", cgroups + "/a/pids.max": "1\n"}, unlimited},
	} {
		read := func(name string) ([]byte, error) {
			if text, ok := tt.files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		}
		if got := serviceTasks(read); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestTasksCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		tasks
		enough bool
	}{
		"no limit":  {tasks{0, math.MaxInt}, true},
		"enough":    {tasks{68, 100}, true},
		"one less":  {tasks{69, 100}, false},
		"all used":  {tasks{100, 100}, false},
		"over them": {tasks{101, 100}, false},
	} {
		if err := tt.check(); (err == nil) != tt.enough {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckLimits: only the config stage refuses a job for a limit of this process.
func TestCheckLimits(t *testing.T) {
	const resource = unix.RLIMIT_SIGPENDING
	var has unix.Rlimit
	testutil.Must(t, unix.Getrlimit(resource, &has))
	s := Session{Call: Call{Stage: job.Config}}
	if short, err := rlimit.Shortages(0); err != nil || len(short) > 0 {
		t.Skipf("the limits are low here: %v, %v", short, err)
	}
	testutil.Must(t, s.checkLimits(), unix.Setrlimit(resource, &unix.Rlimit{Cur: 63, Max: has.Max}))
	t.Cleanup(func() { testutil.Must(t, unix.Setrlimit(resource, &has)) })
	if err := s.checkLimits(); err == nil || !strings.Contains(err.Error(), "pending signals is 63, below 64") {
		t.Errorf("%v", err)
	}
	for _, stage := range []job.Stage{job.Prepare, job.Run, job.Cleanup} {
		s.Call.Stage = stage
		testutil.Must(t, s.checkLimits())
	}
}
