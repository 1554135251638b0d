package fakerunner_test

import (
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
)

// TestExitStatus is the table of the contract: what a driver's end means.
func TestExitStatus(t *testing.T) {
	tests := []struct {
		name, script string
		outcome      fakerunner.Outcome
		code         int
		reason       string
	}{
		{"0", "exit 0", fakerunner.Success, 0, ""},
		{"1 without code file", "exit 1", fakerunner.ScriptFailure, 1, "exit status 1"},
		{"1 with 7", "echo 7 >$F; exit 1", fakerunner.ScriptFailure, 7, "exit status 7"},
		{"1 with 2", "echo 2 >$F; exit 1", fakerunner.ScriptFailure, 2, "exit status 2"},
		{"1 with 128", "echo 128 >$F; exit 1", fakerunner.ScriptFailure, 128, "exit status 128"},
		{"1 with 300", "printf 300 >$F; exit 1", fakerunner.ScriptFailure, 300, "exit status 300"},
		{"1 with 0", "echo 0 >$F; exit 1", fakerunner.ScriptFailure, 0, "exit status 0"},
		{"only the first line counts", "printf '5\\nnoise' >$F; exit 1", fakerunner.ScriptFailure, 5, "exit status 5"},
		{"an empty file", ": >$F; exit 1", fakerunner.SystemFailure, 0, "exit code 1"},
		{"no number", "echo seven >$F; exit 1", fakerunner.SystemFailure, 0, "exit code 1"},
		{"more than a number", "echo 7 extra >$F; exit 1", fakerunner.SystemFailure, 0, "exit code 1"},
		{"2", "exit 2", fakerunner.SystemFailure, 0, "exit status 2"},
		{"2 with a code file", "echo 7 >$F; exit 2", fakerunner.SystemFailure, 0, "exit status 2"},
		{"3", "exit 3", fakerunner.SystemFailure, 0, "unknown Custom executor executable exit code 3"},
		{"255", "exit 255", fakerunner.SystemFailure, 0, "exit code 255"},
		{"SIGKILL", "kill -9 $$", fakerunner.SystemFailure, 0, "exit code -1"},
		{"0 with a code file", "echo 7 >$F; exit 0", fakerunner.Success, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRunner(t, on{"run": `F=$BUILD_EXIT_CODE_FILE; [ "$2" = build_script ] || exit 0; ` + tt.script}).Run(newJob())
			outcome(t, r, tt.outcome)
			if r.ExitCode != tt.code || !strings.Contains(r.Reason, tt.reason) {
				t.Errorf("exit code %d, reason %q; want %d, %q", r.ExitCode, r.Reason, tt.code, tt.reason)
			}
		})
	}
}

func TestSignalIsRecorded(t *testing.T) {
	r := newRunner(t, on{"run": "kill -9 $$"}).Run(newJob())
	if c := call(t, r, "prepare_script"); c.Status != -1 || c.Signal != syscall.SIGKILL {
		t.Errorf("status %d, signal %v", c.Status, c.Signal)
	}
}

func TestDriverThatCannotBeStarted(t *testing.T) {
	runner := newRunner(t, nil)
	runner.Custom.Prepare = []string{"/nonexistent/driver"}
	r := runner.Run(newJob())
	outcome(t, r, fakerunner.SystemFailure)
	if len(r.Calls) != 9 {
		t.Errorf("calls %v, want three tries", r.Stages())
	}
}

func TestCodeFileIsNotTruncatedBetweenStages(t *testing.T) {
	r := newRunner(t, on{"run": `case $2 in get_sources) echo 128 >"$BUILD_EXIT_CODE_FILE"; [ -e $HOME/again ] || { touch $HOME/again; exit 1; };; build_script) exit 1;; esac; exit 0`}).
		Run(with(newJob(), "GET_SOURCES_ATTEMPTS", "2"))
	// The driver of these tests removes the file at the start of each run call,
	// so what get_sources left is gone.
	if c := call(t, r, "build_script"); c.CodeFile.Present {
		t.Errorf("code file %+v", c.CodeFile)
	}
	kept := newRunner(t, nil)
	kept.Custom.Run = []string{"/bin/bash", "-c", `case $2 in get_sources) echo 128 >"$BUILD_EXIT_CODE_FILE";; build_script) exit 1;; esac`, "x"}
	r = kept.Run(newJob())
	outcome(t, r, fakerunner.ScriptFailure)
	if r.ExitCode != 128 {
		t.Errorf("exit code %d, want the 128 that get_sources left", r.ExitCode)
	}
}

func TestFirstFailureIsReported(t *testing.T) {
	r := newRunner(t, on{"run": `case $2 in build_script) echo 7 >"$BUILD_EXIT_CODE_FILE"; exit 1;; upload_*|cleanup_file*) exit 2;; esac`}).Run(fullJob(""))
	outcome(t, r, fakerunner.ScriptFailure)
	if r.ExitCode != 7 {
		t.Errorf("exit code %d, want 7", r.ExitCode)
	}
}

func TestLaterFailureFailsASuccessfulJob(t *testing.T) {
	r := newRunner(t, on{"run": `case $2 in upload_*) exit 1;; esac`}).Run(fullJob(""))
	outcome(t, r, fakerunner.ScriptFailure)
}

func TestAfterScriptFailure(t *testing.T) {
	j := newJob("true")
	j.AfterScript = []string{"exit 4"}
	outcome(t, newRunner(t, nil).Run(j), fakerunner.Success)
	r := newRunner(t, nil).Run(with(j, "AFTER_SCRIPT_IGNORE_ERRORS", "false"))
	outcome(t, r, fakerunner.ScriptFailure)
	if r.ExitCode != 4 {
		t.Errorf("exit code %d, want 4", r.ExitCode)
	}
}
