package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

func TestReadInput(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		testutil.Must(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	script, response := file("script", "echo\n"), file("response", `{"id":5,"job_info":{"project_id":1}}`)
	for name, tt := range map[string]struct {
		stage                 job.Stage
		script, response, env string
		want                  string // what the error contains
	}{
		"run":                 {job.Run, script, response, "", ""},
		"prepare":             {job.Prepare, "", response, "", ""},
		"no script":           {job.Run, script + "x", response, "", "cannot read the script"},
		"no response":         {job.Run, script, response + "x", "", "cannot read the job response"},
		"a variable too long": {job.Run, script, response, "CUSTOM_ENV_A=123456789", "the CI variable A is 9 bytes long"},
	} {
		s := Session{Call: Call{Stage: tt.stage, Script: tt.script}, Env: environ(t, "JOB_RESPONSE_FILE="+tt.response, tt.env)}
		s.Site.Auth.MaxEnvChars = 8
		text, err := s.ReadInput()
		switch {
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v", name, err)
		case tt.want == "" && (err != nil || s.Facts.ID != 5 || (string(text) == "echo\n") != (tt.stage == job.Run)):
			t.Errorf("%s: %q, %v, %v", name, text, s.Facts.ID, err)
		}
	}
}

func TestNothingToCleanUp(t *testing.T) {
	for _, stage := range []job.Stage{job.Config, job.Prepare, job.Run, job.Cleanup} {
		for _, resumed := range []bool{false, true} {
			s := Session{Call: Call{Stage: stage}, Resumed: resumed}
			if got := s.NothingToCleanUp(); got != (stage == job.Cleanup && !resumed) {
				t.Errorf("%s, resumed %v: %v", stage, resumed, got)
			}
		}
	}
}

// TestMisuse: a person reads what is wrong, and the operator where the runner called.
func TestMisuse(t *testing.T) {
	why := failure.Privatef("--what is unknown")
	for name, tt := range map[string]struct {
		env      string
		status   int
		recorded bool
		want     string
	}{
		"a person":   {"", failure.DefaultCodes().System, false, "jacamar-auth: --what is unknown\n"},
		"the runner": {"BUILD_FAILURE_EXIT_CODE=11", failure.DefaultCodes().System, true, "this CI resource is not set up correctly"},
	} {
		s := Session{Env: environ(t, tt.env), Stdout: newFile(t, "stdout"), Stderr: newFile(t, "stderr")}
		status, final := s.Misuse("jacamar-auth", why)
		text, err := os.ReadFile(s.Stderr.Name())
		testutil.Must(t, err)
		if status != tt.status || (final != nil) != tt.recorded || !strings.Contains(string(text), tt.want) {
			t.Errorf("%s: status %d, %v: %s", name, status, final, text)
		}
	}
}

func TestJacamar(t *testing.T) {
	var s Session
	self, err := os.Executable()
	testutil.Must(t, err)
	if p, err := s.JacamarPath(); err != nil || p.String() != filepath.Join(filepath.Dir(self), "jacamar") {
		t.Errorf("without a configured path: %s, %v", p, err)
	}
	s.Site.Auth.JacamarPath = testutil.AbsPath(t, "/usr/missing/jacamar")
	if p, err := s.JacamarPath(); err != nil || p != s.Site.Auth.JacamarPath {
		t.Errorf("with a configured path: %s, %v", p, err)
	}
	if _, err := s.Jacamar(trustedfile.Trust{}); err == nil || !strings.Contains(err.Error(), "/usr/missing/jacamar is missing") {
		t.Errorf("a missing program: %v", err)
	}
}

// TestMoved: an output that cannot be moved stays where it is.
func TestMoved(t *testing.T) {
	file := newFile(t, "file")
	to, err := moved(file, "output")
	testutil.Must(t, err)
	defer to.Close()
	if to == file {
		t.Error("it was not moved")
	}
	testutil.Must(t, file.Close())
	if to, err := moved(file, "output"); err == nil || to != file {
		t.Errorf("a closed file: %v, %v", to, err)
	}
}
