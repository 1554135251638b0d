package profiles

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/internal/job"
)

// Home creates a home with the profile and without marks.
func (p Profile) Home(t testing.TB) string {
	t.Helper()
	home := t.TempDir()
	if err := p.Write(home); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, Mark), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(home, 0o700) })
	return home
}

// Install puts the profile, a directory for SCRATCH and no marks into the home of an
// account for the time of a test.
func (p Profile) Install(t testing.TB, home string, uid, gid int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	scratch, mark, logout := filepath.Join(home, "scratch"), filepath.Join(home, Mark), filepath.Join(home, ".bash_logout")
	before, err := os.ReadFile(logout)
	must(p.Write(home))
	must(os.MkdirAll(scratch, 0o700))
	must(os.WriteFile(mark, nil, 0o600))
	t.Cleanup(func() {
		must(errors.Join(p.Remove(home), os.RemoveAll(scratch), os.Remove(mark)))
		if err == nil {
			must(os.WriteFile(logout, before, 0o644))
		}
	})
	own := []string{scratch, mark, logout, filepath.Join(home, ".bash_profile")}
	for name := range p.Files {
		own = append(own, filepath.Join(home, top(name)))
	}
	for _, path := range own {
		must(filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, uid, gid))
		}))
	}
}

// top is the first element of a path, a directory or a file.
func top(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

// MarkThenExit is a script that marks that it runs and ends with a code. One that cannot
// mark it fails: a profile may close the home and let the script run elsewhere.
func MarkThenExit(home string, code int) string {
	return fmt.Sprintf("echo run >>%s || exit %d\nexit %d\n", job.ShellQuote(filepath.Join(home, Mark)), Code, code)
}

// Marks returns how often the script has run.
func Marks(t testing.TB, home string) int {
	t.Helper()
	file := filepath.Join(home, Mark)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrPermission) { // a profile's umask
		_ = os.Chmod(home, 0o700)
		_ = os.Chmod(file, 0o600)
		text, err = os.ReadFile(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// End kills the processes with the home in their environment: a profile may have
// detached them in any way. Of processes that are older than the one with the pid first
// it reads no environment.
func End(home string, first int) {
	for again := true; again; {
		again = false
		last := lastPID()
		entries, _ := os.ReadDir("/proc")
		for _, entry := range entries {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil || !between(pid, first, last) {
				continue
			}
			text, _ := os.ReadFile("/proc/" + entry.Name() + "/environ")
			if strings.Contains("\x00"+string(text), "\x00HOME="+home+"\x00") && syscall.Kill(pid, syscall.SIGKILL) == nil {
				again = true
			}
		}
	}
}

// between reports whether a pid was given out after first and not after last. The pids
// begin again at the lowest free one when the highest was given out.
func between(pid, first, last int) bool {
	if last < first {
		return pid >= first || pid <= last
	}
	return first <= pid && pid <= last
}

// lastPID is the pid that was given out last, proc_loadavg(5), or the highest possible.
func lastPID() int {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	if len(fields) == 5 {
		if pid, err := strconv.Atoi(fields[4]); err == nil {
			return pid
		}
	}
	return math.MaxInt
}

// DefaultSignals gives every signal that this process ignores, as below nohup(1), its default
// action in the programs that it starts: bash keeps ignoring what was ignored when it
// started, whatever a profile's trap is (bash(1), SIGNALS). The programs of this project
// do so themselves.
func DefaultSignals() {
	for n := syscall.Signal(1); n <= 64; n++ {
		if signal.Ignored(n) {
			signal.Notify(make(chan os.Signal, 1), n)
		}
	}
}
