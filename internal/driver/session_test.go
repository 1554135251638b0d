package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/crash"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func TestFindConfiguration(t *testing.T) {
	for name, tt := range map[string]struct {
		call, state   string
		resumed       bool
		want, refused string
	}{
		"by nothing":             {"", "", false, "", "no config stage has named one"},
		"by a relative path":     {"x.toml", "", false, "", "is not absolute"},
		"by the command line":    {"/etc/a.toml", "", false, "/etc/a.toml", ""},
		"by the config stage":    {"", "/etc/a.toml", true, "/etc/a.toml", ""},
		"by both":                {"/etc/a.toml", "/etc/a.toml", true, "/etc/a.toml", ""},
		"changed in the job":     {"/etc/b.toml", "/etc/a.toml", true, "", "the job began with the configuration /etc/a.toml"},
		"state of another stage": {"/etc/b.toml", "/etc/a.toml", false, "/etc/b.toml", ""},
	} {
		s := Session{Call: Call{Configuration: tt.call}, Resumed: tt.resumed}
		var state job.AbsPath
		if tt.state != "" {
			state = testutil.AbsPath(t, tt.state)
		}
		err := s.FindConfiguration(state)
		switch {
		case tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)):
			t.Errorf("%s: %v, want %q", name, err, tt.refused)
		case tt.refused == "" && (err != nil || s.File.String() != tt.want):
			t.Errorf("%s: %s, %v, want %s", name, s.File, err, tt.want)
		}
	}
}

// TestFinish compares the exit status, the exit code's file and the job's log.
func TestFinish(t *testing.T) {
	panicked := crash.Recovered(func() error { panic("x") })
	for name, tt := range map[string]struct {
		err    error
		stage  job.Stage
		full   bool
		noFile bool
		status int
		code   string
		log    string
	}{
		"success":              {stage: job.Run},
		"script":               {err: failure.Exit(7), stage: job.Run, status: 11, code: "7\n", log: "exit code 7"},
		"no file for it":       {err: failure.Exit(7), stage: job.Run, noFile: true, status: 22, log: "exit code 7"},
		"denied":               {err: failure.Deniedf("secret"), stage: job.Prepare, status: 11, log: "quoting job 5"},
		"denied, unobfuscated": {err: failure.Deniedf("secret"), stage: job.Prepare, full: true, status: 11, log: "secret"},
		"faults, shown":        {err: failure.Configf("2 faults\n  line 1: a\n  line 3: b\n"), stage: job.Run, full: true, status: 22, log: "2 faults\x1b[0m\n      line 1: a\n      line 3: b\n"},
		"lines to copy":        {err: failure.Buildf("no aud").WithAdvice(failure.Advice{Hint: "write:", Lines: []string{"a:"}}), stage: job.Run, status: 11, log: "write:\x1b[0m\n    a:\n"},
		"a crash":              {err: panicked, stage: job.Run, status: 22, log: "could not run the job"},
		"a crash, shown":       {err: panicked, stage: job.Run, full: true, status: 22, log: "panic: x, at "},
		"outside of the log":   {err: failure.Deniedf("secret"), stage: job.Config, status: 11},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			stdout, err := os.Create(filepath.Join(dir, "stdout"))
			if err != nil {
				t.Fatal(err)
			}
			stderr, err := os.Create(filepath.Join(dir, "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "code")
			if tt.noFile {
				file = filepath.Join(dir, "missing", "code")
			}
			s := Session{
				Call:   Call{Stage: tt.stage, Unobfuscated: tt.full},
				Env:    environ(t, "BUILD_FAILURE_EXIT_CODE=11", "SYSTEM_FAILURE_EXIT_CODE=22", "BUILD_EXIT_CODE_FILE="+file, "CUSTOM_ENV_CI_JOB_ID=5"),
				Stdout: stdout, Stderr: stderr,
			}
			status, final := s.Finish(tt.err)
			if status != tt.status || (final == nil) != (tt.err == nil) {
				t.Errorf("status %d, %v", status, final)
			}
			if code, _ := os.ReadFile(file); string(code) != tt.code {
				t.Errorf("exit code %q, want %q", code, tt.code)
			}
			log, err := os.ReadFile(stdout.Name())
			if strings.Contains(string(log), "goroutine") {
				t.Errorf("the job's log has a stack: %s", log)
			}
			if err != nil || !strings.Contains(string(log), tt.log) || (tt.log == "") != (len(log) == 0) {
				t.Errorf("job's log %q, %v, want %q", log, err, tt.log)
			}
		})
	}
}
