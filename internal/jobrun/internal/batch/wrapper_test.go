package batch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/loginshell"
)

// submitted creates a submission's directory whose name contains shell
// metacharacters.
func submitted(t *testing.T, script string) directory {
	t.Helper()
	d := directory(filepath.Join(t.TempDir(), `a b'c"$(x)`))
	if err := d.create([]byte(script), bashWrapper(d)); err != nil {
		t.Fatal(err)
	}
	return d
}

func bashWrapper(d directory) wrapperParams {
	return wrapperParams{dir: d, shell: "/bin/bash", profiles: loginshell.Login, profileNotice: profileNotice}
}

// node prepares a run of the wrapper as a batch system does it: its output goes to the
// log.
func node(t *testing.T, d directory, home string) *exec.Cmd {
	t.Helper()
	log, err := os.OpenFile(d.path(logFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	cmd := exec.Command(d.path(wrapperFile))
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, []string{"PATH=/usr/bin:/bin", "HOME=" + home, "LANG=C.UTF-8"}
	cmd.Dir = home
	return cmd
}

func read(t *testing.T, d directory, name string) string {
	t.Helper()
	text, err := os.ReadFile(d.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWrapper(t *testing.T) {
	tests := []struct {
		name, script, profile string
		code                  int
		log                   string
	}{
		{"success", "echo out; echo err >&2", "", 0, "out\nerr\n"},
		{"exit code", "exit 7", "", 7, ""},
		{"killed by a signal", "kill -KILL $$", "", 137, ""},
		{"its own shell killed by a signal", "echo last; kill -KILL $BASHPID", "", 137, "last\n"},
		{"positional parameters of the profile", "echo $#", "set -- x y", 0, "0\n"},
		{"sees no input", "cat; echo end", "", 0, "end\n"},
		{"sees the profile", "echo $X", "export X=y", 0, "y\n"},
		{"no options of the profile", "false; echo $?", "set -e", 0, "1\n"},
		{"no exit trap of the profile", "exit 3", "trap 'exit 9' EXIT", 3, ""},
		{"the profile ends the shell", "echo once", "exit 4", 0, "once\n"},
		{"the profile ends the shell with 0", "echo once; exit 5", "exit 0", 5, "once\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, home := submitted(t, tt.script), t.TempDir()
			if err := os.WriteFile(filepath.Join(home, ".bash_profile"), []byte(tt.profile+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(home, ".bash_logout"), []byte("exit 1\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := node(t, d, home)
			_ = cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			status, ok := d.readEnd()
			log := read(t, d, logFile)
			if !ok || status.code != tt.code || status.terminated || status.at.IsZero() || status.size != int64(len(log)) {
				t.Errorf("status %+v %v, log of %d bytes", status, ok, len(log))
			}
			if began, ok := d.readStart(); !ok || began.at.IsZero() || began.node == "" {
				t.Errorf("start %+v %v", began, ok)
			}
			if !strings.HasSuffix(log, tt.log) || strings.Count(log, "once") > 1 || strings.Contains(log, "Killed") {
				t.Errorf("log %q, want %q", log, tt.log)
			}
		})
	}
}

// The script runs at most once, and not after the job was abandoned.
func TestWrapperStartLock(t *testing.T) {
	for _, tt := range []struct {
		name string
		lock func(t *testing.T, d directory)
	}{
		{"abandoned", func(t *testing.T, d directory) {
			if !d.takeStartLock() {
				t.Fatal("cannot take a free lock")
			}
		}},
		{"run before", func(t *testing.T, d directory) {
			if err := node(t, d, t.TempDir()).Run(); err != nil {
				t.Fatal(err)
			}
			if d.takeStartLock() {
				t.Fatal("the wrapper's lock was taken again")
			}
			if err := os.Truncate(d.path(logFile), 0); err != nil {
				t.Fatal(err)
			}
		}},
		{"script removed", func(t *testing.T, d directory) {
			if err := d.remove(true); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := submitted(t, "echo RAN")
			tt.lock(t, d)
			err := node(t, d, t.TempDir()).Run()
			if log := read(t, d, logFile); err == nil || strings.Contains(log, "RAN") {
				t.Errorf("%v, log %q", err, log)
			}
		})
	}
}

// A node that starts after the directory was removed runs nothing.
func TestWrapperWithoutItsDirectory(t *testing.T) {
	d := submitted(t, "echo RAN")
	wrapper := read(t, d, wrapperFile)
	if err := d.remove(false); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/bash", "-c", wrapper)
	out, err := cmd.CombinedOutput()
	if err == nil || bytes.Contains(out, []byte("RAN")) {
		t.Errorf("%v %q", err, out)
	}
	if !d.takeStartLock() {
		t.Error("without a directory the wrapper cannot have the lock")
	}
}

// A signal to the whole job reaches the script's own trap, and the wrapper survives it
// and records the end.
func TestWrapperTerminated(t *testing.T) {
	for script, want := range map[string]int{
		"echo ready; sleep 60": 143,
		"trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done": 9,
		"trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done": 143,
	} {
		d := submitted(t, script)
		status := terminated(t, d, t.TempDir(), logFile, "ready")
		if status.code != want || !status.terminated || status.scriptNotRun {
			t.Errorf("%s: status %+v, want code %d", script, status, want)
		}
	}
}

// TestWrapperSurvives: whatever a script, or a batch system, sends to all
// processes of the job, the wrapper records the script's end.
func TestWrapperSurvives(t *testing.T) {
	// bash ignores SIGQUIT.
	harmless := []unix.Signal{unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH, unix.SIGQUIT}
	for sig := unix.SIGHUP; sig <= 64; sig++ {
		switch {
		case sig == unix.SIGKILL, sig == unix.SIGSTOP, sig == unix.SIGTSTP, sig == unix.SIGTTIN, sig == unix.SIGTTOU:
			continue // nothing can be done about the first, and the others end nothing
		case sig == unix.SIGILL, sig == unix.SIGTRAP, sig == unix.SIGBUS, sig == unix.SIGFPE, sig == unix.SIGSEGV:
			continue // a shell that causes one itself must end of it
		case sig == 32, sig == 33:
			continue // the C library's own
		}
		t.Run(fmt.Sprint(int(sig), " ", unix.SignalName(sig)), func(t *testing.T) {
			d, want := submitted(t, fmt.Sprintf("kill -%d 0; exit 7", int(sig))), 128+int(sig)
			if slices.Contains(harmless, sig) {
				want = 7
			}
			cmd := node(t, d, t.TempDir())
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			err := cmd.Run()
			status, ok := d.readEnd()
			if !ok || status.code != want || status.scriptNotRun || cmd.ProcessState.ExitCode() != want {
				t.Errorf("%v, the end is recorded: %v, %+v, want code %d", err, ok, status, want)
			}
		})
	}
}

// A job that is stopped while its profiles run does not start its script.
func TestWrapperTerminatedInAProfile(t *testing.T) {
	d, home := submitted(t, "echo RAN"), t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".bash_profile"), []byte("echo ready; sleep 60\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status := terminated(t, d, home, printedFile, "ready")
	if log := read(t, d, logFile); status.code != 143 || !status.scriptNotRun || strings.Contains(log, "RAN") || !strings.Contains(log, "before your login profiles had ended") {
		t.Errorf("status %+v, log %q", status, log)
	}
}

// The log reports a slow profile, and the script runs after it.
func TestWrapperReportsASlowProfile(t *testing.T) {
	home := t.TempDir()
	d := directory(filepath.Join(t.TempDir(), "job"))
	w := bashWrapper(d)
	w.profileNotice = time.Second // the profile prints before that, also on a busy machine
	if err := d.create([]byte("echo RAN"), w); err != nil {
		t.Fatal(err)
	}
	wait := "echo waiting; until grep -qx waiting '" + d.path(logFile) + "'; do sleep 0.02; done; echo over\n"
	if err := os.WriteFile(filepath.Join(home, ".bash_profile"), []byte(wait), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := node(t, d, home).Run(); err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^\S+jacamar: your login profiles have not ended after 1s; .*\nwaiting\n.*output of your login profiles on .*\nover\n.*section_end:.*\nRAN\n$`)
	if log := read(t, d, logFile); !want.MatchString(log) {
		t.Errorf("log %q", log)
	}
}

// terminated sends TERM to a wrapper and its descendants when a file contains a text.
func terminated(t *testing.T, d directory, home, name, text string) endStatus {
	t.Helper()
	cmd := node(t, d, home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !contains(t, d, name, text); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("no %q in %s", text, name)
			break
		}
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	status, _ := d.readEnd()
	return status
}

// The wrapper, which the batch system may keep, contains nothing of the script.
func TestWrapperHoldsNoSecret(t *testing.T) {
	d := submitted(t, "echo glcbt-secret-token")
	if text := read(t, d, wrapperFile); strings.Contains(text, "secret") {
		t.Error(text)
	}
	for _, name := range []string{scriptFile, wrapperFile, logFile} {
		info, err := os.Stat(d.path(name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

// The wrapper writes the log itself, whatever the batch system does with the job's
// output.
func TestWrapperWritesTheLog(t *testing.T) {
	d := submitted(t, "echo out; echo err >&2")
	cmd := node(t, d, t.TempDir())
	cmd.Stdout, cmd.Stderr = nil, nil
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if !contains(t, d, logFile, "out\nerr\n") {
		t.Error("the log does not have what the script printed")
	}
	if status, ok := d.readEnd(); !ok || status.size != int64(len("out\nerr\n")) {
		t.Errorf("status %+v, want the length of the log", status)
	}
}

func contains(t *testing.T, d directory, name, text string) bool {
	t.Helper()
	return strings.Contains(read(t, d, name), text)
}
