package driver

import (
	"bytes"
	"math"
	"path"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/procfs"
	"jacamar-ci/internal/rlimit"
)

// checkLimits refuses a job where a limit of the runner's service is so low that a stage
// could fail. The later stages of an accepted job run in any case: it has to be cleaned up.
func (s *Session) checkLimits() error {
	if s.Call.Stage != job.Config {
		return nil
	}
	short, err := rlimit.Shortages(0)
	switch {
	case err != nil:
		return err
	case len(short) > 0:
		return failure.Configf("the runner's %s: %s, and restart it", short[0], short[0].Fix())
	}
	return serviceTasks(procfs.Read).check()
}

// spareTasks are the processes and threads that the programs of a stage have at most,
// without those of the script. Go's runtime ends a program that is refused a thread.
const spareTasks = 32

// tasks are the processes and threads of a control group, and how many it may have.
type tasks struct{ has, most int }

func (t tasks) left() int { return t.most - t.has }

// check returns an error where a job needs more than is left.
func (t tasks) check() error {
	if t.left() < spareTasks {
		return failure.Privatef("the runner's service has %d of at most %d processes and threads, and a job needs %d: raise TasksMax= in its unit, or let it run fewer jobs", t.has, t.most, spareTasks)
	}
	return nil
}

// serviceTasks returns the tasks of the control group of this process, or of the one above
// it that has the least left (pids.max in the kernel's documentation of control groups).
// Without a limit that can be read, it may have any number.
func serviceTasks(read func(name string) ([]byte, error)) tasks {
	least := tasks{most: math.MaxInt}
	for dir := pidsGroup(read); strings.HasPrefix(dir+"/", cgroups+"/"); dir = path.Dir(dir) {
		has, err := number(read(dir + "/pids.current"))
		most, err1 := number(read(dir + "/pids.max")) // "max" for none
		if err != nil || err1 != nil {
			continue
		}
		if t := (tasks{has, most}); t.left() < least.left() {
			least = t
		}
	}
	return least
}

const cgroups = "/sys/fs/cgroup"

// pidsGroup is the directory of this process's control group that limits tasks: that of the
// controller of version 1, or else of the single hierarchy of version 2 (cgroups(7)).
func pidsGroup(read func(name string) ([]byte, error)) (dir string) {
	text, _ := read("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		switch fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); {
		case len(fields) < 3:
		case fields[1] == "pids":
			return path.Join(cgroups, "pids", fields[2])
		case fields[1] == "":
			dir = path.Join(cgroups, fields[2])
		}
	}
	return dir
}

func number(text []byte, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(bytes.TrimSpace(text)))
}
