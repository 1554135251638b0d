package slurm

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// ParseFind implements scheduler.Finder: lines "id|name|state|start|nodes|reason".
func (Slurm) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	if r.Code != 0 {
		return nil, fmt.Errorf("squeue: %s", strings.TrimSpace(r.Stderr))
	}
	var found []scheduler.Found
	for line := range strings.Lines(r.Stdout) {
		id, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "|")
		name, rest, ok := strings.Cut(rest, "|")
		if !ok || !idForm().MatchString(id) {
			continue // a task of an array, or not ours to understand
		}
		found = append(found, scheduler.Found{ID: scheduler.ID(id), Name: name, State: queueLine(rest)})
	}
	return found, nil
}

// ParseUsage implements scheduler.Accountant. The job's own line has times and
// processors, the lines of its steps the memory.
func (Slurm) ParseUsage(r scheduler.Reply) (u scheduler.Usage) {
	if r.Err != nil || r.Code != 0 {
		return u
	}
	for line := range strings.Lines(r.Stdout) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(f) != 6 {
			continue
		}
		u.Memory = max(u.Memory, scheduler.ParseMemory(f[4]))
		if strings.Contains(f[0], ".") {
			continue
		}
		seconds, _ := strconv.ParseInt(f[1], 10, 32)
		u.CPUs, _ = strconv.Atoi(f[3])
		u.Elapsed, u.CPU, u.Nodes = time.Duration(seconds)*time.Second, scheduler.ParseClock(f[2]), f[5]
	}
	return u
}
