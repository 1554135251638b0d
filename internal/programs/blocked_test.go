package programs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// TestBlocked: the fix of the nearest fault names what is at fault, and carrying it out
// removes the fault.
func TestBlocked(t *testing.T) {
	for name, path := range map[string]string{"the program": "bin/jacamar", "its directory": "bin"} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			program := filepath.Join(top, "bin/jacamar")
			if err := os.Mkdir(filepath.Dir(program), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(program, nil, 0o755); err != nil {
				t.Fatal(err)
			}
			p, err := job.ParseAbsPath(program)
			if err != nil {
				t.Fatal(err)
			}
			above := len(Blocked(p)) // of the test's own temporary directory
			at := filepath.Join(top, path)
			if err := os.Chmod(at, 0o700); err != nil {
				t.Fatal(err)
			}
			faults := Blocked(p)
			if len(faults) != above+1 || faults[0].Path != at || faults[0].Problem != "has mode 0700" || !strings.HasSuffix(faults[0].Fix, "chmod o+x "+at) {
				t.Fatalf("%+v", faults)
			}
			if err := os.Chmod(at, 0o701); err != nil { // o+x
				t.Fatal(err)
			}
			if faults := Blocked(p); len(faults) != above {
				t.Errorf("after the fix: %+v", faults)
			}
		})
	}
}

// TestBlockedByMount: no account can run what is mounted with noexec.
func TestBlockedByMount(t *testing.T) {
	const text = "is on a file system that is mounted with noexec"
	for path, want := range map[string]bool{"/proc/version": true, "/bin/sh": false} {
		var fs unix.Statfs_t
		if err := unix.Statfs(path, &fs); err != nil || fs.Flags&unix.ST_NOEXEC != 0 != want {
			t.Skipf("%s is mounted in another way here: %v", path, err)
		}
		p, err := job.ParseAbsPath(path)
		if err != nil {
			t.Fatal(err)
		}
		faults := Blocked(p)
		if got := len(faults) > 0 && faults[len(faults)-1].Problem == text; got != want {
			t.Errorf("%s: %+v", path, faults)
		}
	}
}
