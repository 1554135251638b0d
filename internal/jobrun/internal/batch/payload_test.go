package batch

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/imagestore"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/testutil"
)

// payloadOn is a submission with a payload.
func payloadOn(t *testing.T, text string) (d directory, state string) {
	t.Helper()
	d, state = directory(filepath.Join(t.TempDir(), `a b'c`)), filepath.Join(t.TempDir(), "jc.state")
	w := bashWrapper(d)
	w.payload = &Payload{Text: text, State: state, Helpers: []string{"a helper"}}
	if err := d.create([]byte("echo script"), w); err != nil {
		t.Fatal(err)
	}
	return d, state
}

func TestPayload(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		code       int
		began      bool
		marks, log string
	}{
		{"as recorded", `printf 'cse7\n' >"$DIR/marks"; exit 1`, 7, true, "cse7", ""},
		{"success", `bash "$DIR/script"; printf 'cse0\n' >"$DIR/marks"`, 0, true, "cse0", "script\n"},
		{"began, and its end is not recorded", `printf cs >"$DIR/marks"; exit 3`, 3, true, "cs", ""},
		{"did not begin", `exit 9`, 9, false, "", ""},
		{"ended well and did not begin", `:`, 0, false, "", ""},
		{"garbage", `printf 'cse1234\n$(id)' >"$DIR/marks"; exit 5`, 5, true, "cse1234id", ""},
		{"state", `[ -d "$STATE" ] && mkdir -p "$STATE/a/b" && chmod 0 "$STATE/a" && echo there`, 0, false, "", "there\n"},
		{"no input, no descriptors", `cat; ls /proc/self/fd | wc -w`, 0, false, "", "5\n"}, // 255 is bash's script
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, state := payloadOn(t, tt.text)
			cmd := node(t, d, t.TempDir())
			cmd.Env = append(cmd.Env, "DIR="+string(d), "STATE="+state)
			_ = cmd.Run()
			status, ok := d.readEnd()
			if got := cmd.ProcessState.ExitCode(); got != tt.code || !ok || status.code != tt.code || status.scriptNotRun == tt.began || status.marks != tt.marks {
				t.Errorf("exit code %d, %+v %v", got, status, ok)
			}
			if log := read(t, d, logFile); log != tt.log && !(tt.log == "5\n" && len(log) == 2) {
				t.Errorf("log %q, want %q", log, tt.log)
			}
			if _, err := os.Stat(state); !os.IsNotExist(err) {
				t.Errorf("the state is still there: %v", err)
			}
			if read(t, d, scriptFile) != "" {
				t.Error("the script is still there")
			}
		})
	}
}

// TestPayloadDuringSweeps: where the node is the host of other jobs, their sweeps remove the new
// directory until it is locked.
func TestPayloadDuringSweeps(t *testing.T) {
	for range 10 {
		d, state := payloadOn(t, `[ -d "$STATE" ] && printf 'cse0\n' >"$DIR/marks"`)
		temp := testutil.AbsPath(t, filepath.Dir(state))
		cmd := node(t, d, t.TempDir())
		cmd.Env = append(cmd.Env, "DIR="+string(d), "STATE="+state)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- cmd.Wait() }()
		for running := true; running; {
			select {
			case <-ended:
				running = false
			default:
				if err := imagestore.Sweep(temp, job.UID(os.Geteuid()), time.Now().Add(time.Minute)); err != nil {
					t.Error(err)
				}
			}
		}
		if status, _ := d.readEnd(); status.marks != "cse0" {
			t.Errorf("%+v: %s", status, read(t, d, logFile))
		}
	}
}

// TestPayloadBehindALink: another account of the node makes a link where the directory would
// be. Nothing runs, and nothing is changed behind the link.
func TestPayloadBehindALink(t *testing.T) {
	d, state := payloadOn(t, `: >"$DIR/ran"`)
	other := filepath.Join(t.TempDir(), "other")
	testutil.Must(t, os.Mkdir(other, 0o700), os.WriteFile(filepath.Join(other, "file"), nil, 0o400), os.Symlink(other, state))
	cmd := node(t, d, t.TempDir())
	cmd.Env = append(cmd.Env, "DIR="+string(d))
	_ = cmd.Run()
	if log, want := read(t, d, logFile), "cannot make the directory "+state; !strings.HasPrefix(log, want) {
		t.Errorf("%q, want %q", log, want)
	}
	if _, err := os.Stat(d.path("ran")); !os.IsNotExist(err) {
		t.Errorf("the payload ran: %v", err)
	}
	info, err := os.Stat(filepath.Join(other, "file"))
	if testutil.Must(t, err); info.Mode() != 0o400 {
		t.Errorf("the file behind the link has mode %v", info.Mode())
	}
	if link, err := os.Readlink(state); link != other {
		t.Errorf("the link was removed: %v", err)
	}
}

// TestPayloadNameIsNotKnown: what is there before the directory has its name does not show it.
func TestPayloadNameIsNotKnown(t *testing.T) {
	d, state := payloadOn(t, `:`)
	bin := t.TempDir()
	testutil.Must(t, os.WriteFile(filepath.Join(bin, "mv"), []byte("#!/bin/bash\nls -A \""+filepath.Dir(state)+"\" >>\"$DIR/seen\"\nexec /bin/mv \"$@\"\n"), 0o700))
	cmd := node(t, d, t.TempDir())
	cmd.Env = append(cmd.Env, "DIR="+string(d), "PATH="+bin+":"+os.Getenv("PATH"))
	_ = cmd.Run()
	first, _, _ := strings.Cut(read(t, d, "seen"), "\n")
	if !strings.HasPrefix(first, ".jc.") || strings.HasPrefix(first, "."+filepath.Base(state)) {
		t.Errorf("before %s there is %q", filepath.Base(state), first)
	}
}

// What is submitted has nothing of the payload's text.
func TestPayloadIsNotSubmitted(t *testing.T) {
	d, _ := payloadOn(t, "secret-text")
	if strings.Contains(read(t, d, wrapperFile), "secret-text") || !strings.Contains(read(t, d, payloadFile), "secret-text") {
		t.Error("the payload is in the wrapper")
	}
}

// The outcome of a script that ran by a payload is the payload's own.
func TestPayloadOutcome(t *testing.T) {
	own := errors.New("own")
	task := Task{Payload: &Payload{Outcome: func(marks string, code int) error {
		if marks == "cse0" && code == 0 {
			return nil
		}
		return fmt.Errorf("%w: %s %d", own, marks, code)
	}}}
	for _, status := range []endStatus{{}, {code: 7, marks: "cse7"}, {scriptNotRun: true}} {
		if err := task.outcome("1", &status, true, scheduler.State{Phase: scheduler.Done, Class: scheduler.Exited}); !errors.Is(err, own) {
			t.Errorf("%+v: %v", status, err)
		}
	}
	if err := task.outcome("1", &endStatus{marks: "cse0"}, true, scheduler.State{Phase: scheduler.Done, Class: scheduler.Exited}); err != nil {
		t.Error(err)
	}
}

// A request to stop reaches, once, every process of the script, whichever processes the
// batch system signals, and no helper of a container. Nothing is left of what forwards it.
func TestPayloadForwardsAStop(t *testing.T) {
	// The payload's own shell survives, as a cell does. The script leaves the session, and
	// so does a helper.
	const text = `exec 2>/dev/null
trap : TERM
cp /bin/sleep "$DIR/a helper"
setsid "$DIR/a helper" 60 & helper=$!
until [ "$(cat /proc/$helper/comm)" = 'a helper' ]; do sleep 0.05; done
setsid bash -c 'trap "echo trapped; n=1" TERM; echo ready; while [ -z "$n" ]; do sleep 0.1; done; sleep 1.5; echo end' & script=$!
while kill -0 $script; do wait $script; done
kill -0 $helper && echo helper lives
kill -9 $helper
printf 'cse0\n' >"$DIR/marks"
`
	for _, tt := range []struct {
		name   string
		whom   func(wrapper int) []int
		helper string
	}{
		{"the session", func(wrapper int) []int { return []int{-wrapper} }, "helper lives\n"},
		// The probe comes before the process that waits for it: this one could be slow.
		{"all processes", func(wrapper int) []int {
			all := append([]int{wrapper}, proctree.Descendants(wrapper)...)
			slices.Reverse(all)
			return all
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := payloadOn(t, text)
			cmd := node(t, d, t.TempDir())
			cmd.Env = append(cmd.Env, "DIR="+string(d))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			alive, theirs, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer alive.Close()
			cmd.ExtraFiles = []*os.File{theirs}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			theirs.Close()
			awaitLog(t, d, "ready")
			awaitProbe(t, cmd.Process.Pid)
			for _, pid := range tt.whom(cmd.Process.Pid) {
				if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
					t.Error(err)
				}
			}
			_ = cmd.Wait()
			if log, want := read(t, d, logFile), "ready\ntrapped\nend\n"+tt.helper; log != want {
				t.Errorf("log %q, want %q", log, want)
			}
			if err := alive.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := alive.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("processes of the wrapper are left: %v", err)
			}
		})
	}
}

// awaitProbe waits until the process that notices signals to all processes is there.
func awaitProbe(t *testing.T, wrapper int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
		for _, pid := range proctree.Descendants(wrapper) {
			argv, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if strings.HasSuffix(string(argv), "\x00-c\x00read -r\x00") && !strings.HasPrefix(string(argv), "setsid\x00") {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("there is no probe")
		}
	}
}

// A shell runs its trap, and not the end by set -e that a killed child causes.
func TestPayloadStopsParentsFirst(t *testing.T) {
	const count = 20
	d, _ := payloadOn(t, fmt.Sprintf(`exec 2>/dev/null
trap : TERM
setsid bash -c 'trap : TERM; for ((i = 0; i < %d; i++)); do
	bash -c "set -e; trap \"echo trapped; exit 0\" TERM; echo ready; while :; do sleep 60; done" & all+=($!)
done; for one in ${all[*]}; do while kill -0 $one; do wait $one; done; done' & script=$!
while kill -0 $script; do wait $script; done
printf 'cse0\n' >"$DIR/marks"
`, count))
	cmd := node(t, d, t.TempDir())
	cmd.Env = append(cmd.Env, "DIR="+string(d))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLog(t, d, strings.Repeat("ready\n", count))
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if n := strings.Count(read(t, d, logFile), "trapped"); n != count {
		t.Errorf("%d shells ran their trap, want %d", n, count)
	}
}

// awaitLog waits until the log has a text.
func awaitLog(t *testing.T, d directory, text string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !contains(t, d, logFile, text); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the log has no %q", text)
		}
	}
}
