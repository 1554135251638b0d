package privdrop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
)

func TestProgramFacts(t *testing.T) {
	both := capability.Set{1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID}
	uid := capability.Set{1 << unix.CAP_SETUID}
	for _, tt := range []struct {
		name  string
		facts programFacts
		want  string // of the error, "" for none
	}{
		{"root", programFacts{uid: 0}, ""},
		{"file capabilities", programFacts{uid: 990, euid: 990, held: both}, ""},
		{"file capabilities, as root", programFacts{uid: 990, euid: 0, held: both}, ""},
		{"one of them", programFacts{uid: 990, euid: 990, held: uid}, "lacks CAP_SETGID: run it as root"},
		{"none", programFacts{uid: 990, euid: 990}, "lacks CAP_SETUID and CAP_SETGID: run it as root"},
		{"ambient capabilities", programFacts{uid: 990, euid: 990, own: both}, ""},
		{"those of root are not inherited", programFacts{uid: 990, euid: 0, own: both}, "lacks CAP_SETUID and CAP_SETGID"},
		{"no_new_privs", programFacts{uid: 990, euid: 990, held: both, noNewPrivs: true}, withNoNewPrivs},
		{"no_new_privs of another account's process", programFacts{uid: 990, euid: 0, held: both, noNewPrivs: true}, ""},
		{"nosuid", programFacts{uid: 990, euid: 990, held: both, nosuid: true}, "mounted with nosuid"},
		{"ambient capabilities on nosuid", programFacts{uid: 990, euid: 990, own: both, nosuid: true}, ""},
	} {
		err := tt.facts.mayChangeIDs()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestFileOfAProgram judges real files: without and with capabilities, and on a file system
// that disables them.
func TestFileOfAProgram(t *testing.T) {
	if err := checkHostIDs(); err != nil {
		t.Skipf("the ids of this test are not the machine's: %v", err)
	}
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	const account = 54321
	judge := func(path, want string) {
		t.Helper()
		if on(t, path)&unix.ST_NOSUID != 0 {
			want = "mounted with nosuid"
		}
		err := ProgramMayChangeIDs(path, account)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	judge(file, "lacks CAP_SETUID and CAP_SETGID: run it as root")
	judge("/proc/version", "lacks CAP_SETUID and CAP_SETGID: run it as root")
	attribute := slices.Concat([]byte{1, 0, 0, 2, 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID}, make([]byte, 15)) // vfs_cap_data of linux/capability.h
	if err := unix.Setxattr(file, "security.capability", attribute, 0); err != nil {
		t.Skipf("cannot give a file capabilities: %v", err)
	}
	judge(file, "")
	if err := ProgramMayChangeIDs(file+".missing", account); failure.KindOf(err) != failure.System || !strings.Contains(err.Error(), "cannot read the file capabilities") {
		t.Errorf("a missing file: %v", err)
	}
}

// on returns the flags of the file system of a file.
func on(t *testing.T, path string) int64 {
	t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		t.Fatal(err)
	}
	return fs.Flags
}
