package site

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/procfs"
)

// Process is a live process as /proc shows it; values that this process may not read
// are empty.
type Process struct {
	PID     int
	UID     uint32
	Command string
	Exe     string
	Cwd     string
	environ []byte
}

// String is for a test's message.
func (p Process) String() string { return fmt.Sprintf("%d (uid %d): %.200s", p.PID, p.UID, p.Command) }

// Match picks processes.
type Match func(Process) bool

// OfUID picks the processes of an account.
func OfUID(uid uint32) Match { return func(p Process) bool { return p.UID == uid } }

// Marked picks the processes that have text in their command line, environment,
// executable or working directory.
func Marked(text string) Match {
	return func(p Process) bool {
		return strings.Contains(p.Command, text) || strings.Contains(p.Exe, text) || strings.Contains(p.Cwd, text) ||
			bytes.Contains(p.environ, []byte(text))
	}
}

// mark is a text unique to the site.
func (s *Site) mark() string { return filepath.Base(s.install.Dir) + "/" + filepath.Base(s.Dir) }

// Own picks the processes of this site: those that run below its directory or have its
// mark, and as root all of the job's account.
func (s *Site) Own() Match {
	marked := Marked(s.mark())
	return func(p Process) bool {
		if os.Geteuid() == 0 && p.UID == s.Account.UID {
			return true
		}
		return marked(p) || strings.HasPrefix(p.Exe, s.install.Bin+"/jacamar")
	}
}

// Find returns the live processes that match. One that only waits to be reaped
// is not alive, and this process is never among them.
func Find(match Match) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, alive := read(pid); alive && match(p) {
			found = append(found, p)
		}
	}
	return found, nil
}

// read returns a process unless it is gone or a zombie. It can vanish between
// any two of these reads.
func read(pid int) (Process, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	info, err := os.Stat(dir)
	if err != nil {
		return Process{}, false
	}
	p := Process{PID: pid, UID: info.Sys().(*syscall.Stat_t).Uid}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return Process{}, false
	}
	zombie := false
	for _, line := range strings.Split(string(status), "\n") {
		switch {
		case strings.HasPrefix(line, "State:\tX"):
			return Process{}, false
		case strings.HasPrefix(line, "State:\tZ"):
			zombie = true
		case zombie && strings.HasPrefix(line, "Threads:\t"):
			// The first thread can have ended while others go on.
			if n := strings.TrimPrefix(line, "Threads:\t"); n == "0" || n == "1" {
				return Process{}, false
			}
		case strings.HasPrefix(line, "Uid:"):
			// A process that hides its memory has a /proc directory of root's.
			if fields := strings.Fields(line); len(fields) > 1 {
				if uid, err := parseID(fields[1]); err == nil {
					p.UID = uid
				}
			}
		}
	}
	cmdline, _ := os.ReadFile(dir + "/cmdline")
	p.Command = string(bytes.TrimSpace(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
	p.Exe, _ = os.Readlink(dir + "/exe")
	p.Cwd, _ = os.Readlink(dir + "/cwd")
	p.environ, _ = procfs.ReadMost(dir+"/environ", procfs.MaxEnviron)
	return p, true
}

// Eventually polls until ok is true or the time is over. It is the only function with
// which tests poll, for conditions without an event.
func Eventually(within time.Duration, ok func() bool) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if ok() {
			return true
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return ok()
		}
	}
}

// NoProcess fails the test when a process still matches after the time.
func NoProcess(t testing.TB, within time.Duration, match Match) {
	t.Helper()
	var left []Process
	var err error
	gone := Eventually(within, func() bool {
		left, err = Find(match)
		return err == nil && len(left) == 0
	})
	if !gone {
		t.Errorf("still running after %v: %v %v", within, left, err)
	}
}

// NoProcess fails the test when a process of the site is still alive after the
// time.
func (s *Site) NoProcess(t testing.TB, within time.Duration) {
	t.Helper()
	NoProcess(t, within, s.Own())
}

// SomeProcess waits for a process that matches, and fails the test without one.
func SomeProcess(t testing.TB, within time.Duration, match Match) Process {
	t.Helper()
	var found []Process
	var err error
	if !Eventually(within, func() bool {
		found, err = Find(match)
		return err == nil && len(found) > 0
	}) {
		t.Fatalf("no process matches after %v: %v", within, err)
	}
	return found[0]
}
