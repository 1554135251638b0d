package check

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

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
func judgeView(proc string, pids []int, paths []string) (lines []Line) {
	known := false
	for _, pid := range pids {
		for _, path := range paths {
			problem, err := differs(path, filepath.Join(proc, strconv.Itoa(pid), "root"))
			known = known || err == nil
			if problem == "" {
				continue
			}
			line := fail("remove that setting from the runner's unit, and restart the runner", "the runner's service %s %s", problem, path)
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	if known && len(lines) == 0 {
		return []Line{ok("the runner's service sees the directories of jobs as logins do")}
	}
	return lines
}

// differs returns how a directory that is here is seen below another root, "" where it is the
// same. It returns an error where it is not here, or this account may not see that root.
func differs(here, root string) (problem string, err error) {
	var own, theirs unix.Stat_t
	if err := unix.Stat(here, &own); err != nil {
		return "", err
	}
	if err := unix.Stat(root, &theirs); err != nil {
		return "", err
	}
	there := filepath.Join(root, here)
	if err := unix.Stat(there, &theirs); err != nil || own.Dev != theirs.Dev || own.Ino != theirs.Ino {
		return "hides (ProtectHome=, TemporaryFileSystem= or the like)", nil
	}
	var before, after unix.Statfs_t
	if unix.Statfs(here, &before) == nil && unix.Statfs(there, &after) == nil && before.Flags&unix.ST_RDONLY == 0 && after.Flags&unix.ST_RDONLY != 0 {
		return "cannot write to (ProtectHome=, ProtectSystem= or the like)", nil
	}
	return "", nil
}
