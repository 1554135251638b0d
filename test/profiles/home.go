package profiles

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Home makes a home with the profile and without marks.
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

// Marks returns how often the script has run.
func Marks(t testing.TB, home string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(home, Mark))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// End kills what has the home in its environment: a profile may have detached
// it in any way. None of it has a lower pid than first, but where pids have begun
// again.
func End(home string, first int) {
	for again := true; again; {
		again = false
		entries, _ := os.ReadDir("/proc")
		for _, entry := range entries {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil || pid < first {
				continue
			}
			text, _ := os.ReadFile("/proc/" + entry.Name() + "/environ")
			if strings.Contains("\x00"+string(text), "\x00HOME="+home+"\x00") && syscall.Kill(pid, syscall.SIGKILL) == nil {
				again = true
			}
		}
	}
}
