package check

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// TestJudgeView starts processes whose mounts are those of units with a setting, and one
// without it.
func TestJudgeView(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a process other mounts")
	}
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "home")
	testutil.Must(t, os.Symlink(dir, link))
	paths := []string{dir, filepath.Join(dir, "missing")}
	hidden := []string{"the runner's service hides (ProtectHome=, TemporaryFileSystem= or the like) " + dir}
	for name, tt := range map[string]struct {
		mount string
		want  []string
	}{
		"the same":                 {":", nil},
		"ProtectHome=yes":          {"mount -t tmpfs -o mode=000 tmpfs $0", hidden},
		"InaccessiblePaths= above": {"mount -t tmpfs tmpfs ${0%/*}", hidden},
		"BindPaths= over it":       {"mount --bind ${0%/*} $0", hidden},
		"ProtectHome=read-only":    {"mount --bind $0 $0 && mount -o remount,bind,ro $0", []string{"the runner's service cannot write to (ProtectHome=, ProtectSystem= or the like) " + dir}},
	} {
		t.Run(name, func(t *testing.T) {
			changed, same := mounted(t, dir, tt.mount), mounted(t, dir, ":")
			if got := failed(judgeView("/proc", []int{same, changed, changed}, paths)); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if got := failed(judgeView("/proc", []int{changed}, []string{link})); len(got) != len(tt.want) {
				t.Errorf("by a link: %q, want %q", got, tt.want)
			}
			// The fix.
			if after := judgeView("/proc", []int{same}, paths); len(after) != 1 || after[0].Result != OK {
				t.Errorf("without the setting: %+v", after)
			}
		})
	}
	if lines := judgeView("/proc", nil, paths); lines != nil {
		t.Errorf("without a runner: %+v", lines)
	}
	if lines := judgeView(t.TempDir(), []int{1}, paths); lines != nil {
		t.Errorf("a runner whose view is closed: %+v", lines)
	}
}

// failed are the texts of the failures among lines.
func failed(lines []Line) (texts []string) {
	for _, l := range lines {
		if l.Result == Fail {
			texts = append(texts, l.Text)
		}
	}
	return texts
}

// TestViewed: what all jobs have, and data_dir where it is one path for all of them.
func TestViewed(t *testing.T) {
	for dir, want := range map[string][]string{"/lustre/ci": {"/home", "/state", "/lustre/ci"}, "$HOME": {"/home", "/state"}, "$SCRATCH/ci": {"/home", "/state"}} {
		s := dataSite(t, dir, settings.Setuid)
		s.StateDir = testutil.AbsPath(t, "/state")
		if got := s.viewed(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", dir, got)
		}
	}
}

// mounted starts a process in a mount namespace of its own, and returns its pid.
func mounted(t *testing.T, dir, script string) int {
	t.Helper()
	cmd := exec.Command("unshare", "--mount", "--", "/bin/sh", "-c", "set -e; "+script+"; echo ready; exec cat >/dev/null", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _, _ = io.Copy(io.Discard, out); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%q %v", line, err)
	}
	return cmd.Process.Pid
}
