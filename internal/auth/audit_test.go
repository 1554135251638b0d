package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// TestLostLog: the user reads once that the operator's log cannot be written, and the reason is
// only where no user reads it.
func TestLostLog(t *testing.T) {
	const reason = "/var/log/jacamar is full"
	for name, tt := range map[string]struct {
		stage  job.Stage
		open   bool
		text   bool
		reason bool
	}{
		"config":            {job.Config, false, false, false},
		"prepare":           {job.Prepare, false, true, false},
		"run":               {job.Run, false, false, false},
		"cleanup":           {job.Cleanup, false, true, true},
		"run, unobfuscated": {job.Run, true, true, true},
	} {
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		testutil.Must(t, err)
		d := &authDriver{}
		d.Stderr, d.Call.Stage, d.Call.Unobfuscated = log, tt.stage, tt.open
		d.lost(errors.New(reason))
		text, err := os.ReadFile(log.Name())
		testutil.Must(t, err, log.Close())
		if (len(text) > 0) != tt.text || strings.Contains(string(text), reason) != tt.reason {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// TestResume: a stage after config takes the state that config has left, and config none. A
// damaged one is a refusal.
func TestResume(t *testing.T) {
	for name, tt := range map[string]struct {
		stage   job.Stage
		text    string
		resumed bool
		rule    string
	}{
		"config":           {job.Config, "damaged", false, ""},
		"without a state":  {job.Prepare, "", false, ""},
		"a damaged state":  {job.Prepare, "damaged", false, RuleState},
		"damaged, cleanup": {job.Cleanup, "damaged", false, RuleState},
	} {
		d := &authDriver{}
		d.Call.Stage, d.Env = tt.stage, customexec.Environ{State: tt.text}
		err := d.resume()
		rule := ""
		if err != nil {
			rule, _ = ruleOf(err)
		}
		if d.Resumed != tt.resumed || rule != tt.rule {
			t.Errorf("%s: resumed %v, %v", name, d.Resumed, err)
		}
	}
}

// TestThisCall: a call has the number of its process and when that began, as numbers are given
// again.
func TestThisCall(t *testing.T) {
	pid, began, found := strings.Cut(thisCall(), ".")
	if n, err := strconv.Atoi(began); pid != strconv.Itoa(os.Getpid()) || !found || err != nil || n <= 0 {
		t.Errorf("%s", thisCall())
	}
}
