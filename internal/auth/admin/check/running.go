package check

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/admin/setup"
	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/procfs"
	"jacamar-ci/internal/rlimit"
)

// processors looks at the limit that jacamar-auth inherits from the runner.
func processors(_ context.Context, s Site) []Line {
	return judgeProcessors(runtime.NumCPU(), processorsOf("/proc", runners("/proc", s.services())))
}

// judgeProcessors judges the values of GOMAXPROCS of the runners that run now, "" where
// one has none.
func judgeProcessors(node int, limits []string) []Line {
	if node <= setup.ManyProcessors || len(limits) == 0 {
		return nil
	}
	for _, text := range limits {
		if n, err := strconv.Atoi(text); err != nil || n < 1 || n > setup.ManyProcessors {
			return []Line{warn("add Environment=GOMAXPROCS=4 to the [Service] section of a drop-in of the runner's unit, as the supplied one has it, and restart the runner",
				"this node has %d processors, and the runner has no small GOMAXPROCS: the config stage of every job takes longer", node)}
		}
	}
	return []Line{ok("the runner limits the processors that a stage prepares for")}
}

// processorsOf returns the GOMAXPROCS of the processes whose environment this account may
// read.
func processorsOf(proc string, pids []int) (limits []string) {
	for _, pid := range pids {
		if environ, err := procfs.ReadMost(filepath.Join(proc, strconv.Itoa(pid), "environ"), procfs.MaxEnviron); err == nil {
			limits = append(limits, limitIn(string(environ)))
		}
	}
	return limits
}

// services are the accounts whose processes can be the runner that calls jacamar-auth. Any
// account can give its processes that name, so that others would be judged in the place of
// the runner, or make this process wait for a file system of theirs.
type services struct {
	uids []uint32
	// group is the one whose members may execute jacamar-auth, nil where others may.
	group *uint32
}

// services are root, the account of jacamar-auth, and who has its state or may execute it.
func (s Site) services() (all services) {
	all.uids = []uint32{0, uint32(s.UID)}
	if state, ok := statOf(s.StateDir); ok {
		all.uids = append(all.uids, state.Uid)
	}
	if program, ok := statOf(s.Auth); ok && program.Mode&0o011 == 0o010 {
		all.group = &program.Gid
	}
	return all
}

// have reports whether a process is one of theirs, by its proc_pid_status(5). The real ids
// are those of who started it: a setuid program has the environment of its caller.
func (all services) have(status []byte) bool {
	uid, gid := append(field(status, "Uid:"), "")[0], append(field(status, "Gid:"), "")[0]
	is := func(text string) func(uint32) bool {
		return func(id uint32) bool { return strconv.FormatUint(uint64(id), 10) == text }
	}
	return slices.ContainsFunc(all.uids, is(uid)) ||
		all.group != nil && slices.ContainsFunc(append(field(status, "Groups:"), gid), func(g string) bool { return is(g)(*all.group) })
}

// runners returns the pids of all processes of these accounts that are a gitlab-runner. One of
// a container, in a namespace of its own, runs its jobs there.
func runners(proc string, of services) (pids []int) {
	entries, _ := os.ReadDir(proc)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		status, _ := os.ReadFile(filepath.Join(proc, entry.Name(), "status"))
		if slices.Equal(field(status, "Name:"), []string{"gitlab-runner"}) && of.have(status) && len(field(status, "NSpid:")) < 2 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// field returns the words of a line of proc_pid_status(5).
func field(status []byte, name string) []string {
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, name); found {
			return strings.Fields(rest)
		}
	}
	return nil
}

func limitIn(environ string) (limit string) {
	for pair := range strings.SplitSeq(environ, "\x00") {
		if value, found := strings.CutPrefix(pair, "GOMAXPROCS="); found {
			limit = value
		}
	}
	return limit
}

// limits looks at the resource limits that jacamar-auth inherits from the runner.
func limits(_ context.Context, s Site) []Line {
	return judgeLimits(runners("/proc", s.services()), rlimit.Shortages)
}

// judgeLimits judges the runners whose limits this account may read.
func judgeLimits(pids []int, read func(pid int) ([]rlimit.Shortage, error)) []Line {
	return eachRunner(pids, "the runner's resource limits are high enough", func(pid int) (lines []Line, known bool) {
		short, err := read(pid)
		for _, s := range short {
			lines = append(lines, fail(s.Fix()+", and restart the runner", "the runner's %s: no job runs", s))
		}
		return lines, err == nil
	})
}

// eachRunner returns the different findings about the runners, or that all is well with those
// of which something is known.
func eachRunner(pids []int, well string, look func(pid int) (lines []Line, known bool)) (lines []Line) {
	known := false
	for _, pid := range pids {
		some, knows := look(pid)
		known = known || knows
		for _, line := range some {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	if known {
		return or(lines, "%s", well)
	}
	return lines
}

// view compares what the runners that run now see of the directories of jobs with what
// this process sees: jobs have the mounts of the service.
func view(_ context.Context, s Site) []Line {
	return judgeView("/proc", runners("/proc", s.services()), s.viewed())
}

// viewed are the directories that a unit can hide, or protect from writing.
func (s Site) viewed() []string {
	paths := []string{"/home", s.StateDir.String()}
	if dir := s.Config.General.DataDir.String(); filepath.IsAbs(dir) {
		paths = append(paths, dir)
	}
	return paths
}

// judgeView judges the runners whose view this account may have.
func judgeView(proc string, pids []int, paths []string) []Line {
	return eachRunner(pids, "the runner's service sees the directories of jobs as logins do", func(pid int) (lines []Line, known bool) {
		for _, path := range paths {
			problem, err := differs(path, filepath.Join(proc, strconv.Itoa(pid), "root"))
			known = known || err == nil
			if problem != "" {
				lines = append(lines, fail("remove that setting from the runner's unit, and restart the runner", "the runner's service %s %s", problem, path))
			}
		}
		return lines, known
	})
}

// differs returns how a directory that is here is seen below another root, "" where it is the
// same. It returns an error where it is not here, or this account may not see that root.
func differs(here, root string) (problem string, err error) {
	target, err := resolved(here)
	if err != nil {
		return "", err
	}
	var theirs unix.Stat_t
	if err := unix.Stat(root, &theirs); err != nil {
		return "", err
	}
	// An absolute link below the other root leads from this process's own: so both are compared.
	return cmp.Or(differsAt(here, root), differsAt(target, root)), nil
}

// resolved is the path of a directory without links.
func resolved(dir string) (string, error) {
	fd, err := eintr.Openat(unix.AT_FDCWD, dir, unix.O_PATH)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

func differsAt(here, root string) (problem string) {
	there := filepath.Join(root, here)
	var own, seen unix.Stat_t // zero where it is not there
	_, _ = unix.Stat(here, &own), unix.Stat(there, &seen)
	switch {
	case seen.Dev != own.Dev || seen.Ino != own.Ino:
		return "hides (ProtectHome=, TemporaryFileSystem= or the like)"
	case !readOnly(here) && readOnly(there):
		return "cannot write to (ProtectHome=, ProtectSystem= or the like)"
	}
	return ""
}

// readOnly reports whether a directory is on a file system, or behind a mount, that is read-only.
func readOnly(path string) bool {
	var fs unix.Statfs_t // zero where it cannot be examined
	_ = unix.Statfs(path, &fs)
	return fs.Flags&unix.ST_RDONLY != 0
}
