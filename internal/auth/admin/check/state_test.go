package check

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

// stateSite keeps its state in a directory, and never reaches its server.
func stateSite(t *testing.T, dir string) Site {
	t.Helper()
	s := keySite(t)
	s.UID = job.UID(os.Geteuid())
	s.Trust, s.Names, s.StateDir = trustedfile.Self(), account.System(nil, nil), testutil.AbsPath(t, dir)
	state, err := statedir.New(s.StateDir, nil)
	testutil.Must(t, err)
	s.Keys, err = idtoken.NewKeys(idtoken.KeySettings{
		GitLab: &url.URL{Scheme: "https", Host: "gitlab.example.com"}, State: state,
		Program: func() (job.AbsPath, error) { return job.AbsPath{}, errors.New("no program") },
	})
	testutil.Must(t, err)
	s.TryKey = func(context.Context) error { return nil }
	s.TryJournal = s.TryKey
	return s
}

// TestStateDirectory: what jobs need there, where this account may look.
func TestStateDirectory(t *testing.T) {
	dir := testutil.HomeDir(t)
	s := stateSite(t, dir)
	found(t, stateDirectory(t.Context(), s), "ok keeps GitLab's keys")
	s.TryKey = func(context.Context) error { return errors.New("damaged") }
	found(t, stateDirectory(t.Context(), s), "fail no job can pass on its state: damaged")
	testutil.Must(t, os.Chmod(dir, 0o777))
	found(t, stateDirectory(t.Context(), s), "fail mode")

	missing := stateSite(t, filepath.Join(dir, "missing"))
	found(t, stateDirectory(t.Context(), missing), "ok will be made")
	missing.Helper.Lost = errors.New("no capabilities")
	found(t, stateDirectory(t.Context(), missing))
	found(t, stateDirectory(t.Context(), stateSite(t, stateOf(t, daemonUID).String())))
}

// TestJudgeState: each file has a finding of its own, and the fault of a file is not that of
// its whole path.
func TestJudgeState(t *testing.T) {
	s := stateSite(t, "/var/lib/j")
	large := &trustedfile.Fault{File: "/var/lib/j/keys", Path: "/var/lib/j/keys", Problem: "is longer than 1 bytes", Fix: "shorten it"}
	found(t, s.judgeState("/var/lib/j/keys", nil, nil))
	for name, tt := range map[string]struct {
		cache, key error
		want       []string
		fix        string
	}{
		"damaged keys": {errors.New("not JSON"), nil, []string{"fail jobs do not use the keys in /var/lib/j/keys: not JSON"}, "rm -r /var/lib/j/keys"},
		"large keys":   {large, nil, []string{"fail do not use the keys in /var/lib/j/keys: is longer than 1 bytes"}, "rm -r /var/lib/j/keys"},
		"damaged key":  {nil, errors.New("empty"), []string{"fail no job can pass on its state: empty"}, "rm -r /var/lib/j/seal.key"},
		"both":         {large, errors.New("empty"), []string{"fail do not use", "fail no job can pass"}, "seal.key"},
	} {
		got := s.judgeState("/var/lib/j/keys", tt.cache, tt.key)
		found(t, got, tt.want...)
		if !strings.Contains(fixes(got), tt.fix) {
			t.Errorf("%s: %q", name, fixes(got))
		}
	}
}

// TestKeyServer: a fault of the program or of the CA file has a check of its own, which reports
// why no request can be sent.
func TestKeyServer(t *testing.T) {
	for name, tt := range map[string]struct {
		mode    fs.FileMode // of the CA file, 0 for none
		fetcher error
		asked   bool
	}{
		"no CA file":           {0, nil, true},
		"a CA file":            {0o644, nil, true},
		"an untrusted CA file": {0o666, nil, false},
		"no program":           {0, errors.New("missing"), false},
	} {
		s := stateSite(t, testutil.HomeDir(t))
		s.FetcherErr = tt.fetcher
		if tt.mode != 0 {
			s.Config.General.TLSCAFile = trustedFile(t, "", tt.mode)
		}
		if got := keyServer(t.Context(), s); (len(got) > 0) != tt.asked {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCommand(t *testing.T) {
	s := keySite(t)
	if got := s.command("keys refresh"); got != "/opt/jacamar/bin/jacamar-admin keys refresh" {
		t.Error(got)
	}
	s.File = testutil.AbsPath(t, "/etc/other.toml")
	if got := s.command("keys refresh"); got != "/opt/jacamar/bin/jacamar-admin keys refresh --configuration /etc/other.toml" {
		t.Error(got)
	}
}

// TestLog writes a record where jobs do.
func TestLog(t *testing.T) {
	path := filepath.Join(testutil.HomeDir(t), "log")
	s := stateSite(t, stateOf(t, 0).String())
	s.Config.Auth.Logging.Location.File = testutil.AbsPath(t, path)
	found(t, log(t.Context(), s))
	s.Config.Auth.Logging.Enabled = true
	to := func(open func() (*os.File, error)) (l auditlog.Log) {
		l, err := auditlog.New(auditlog.Settings{Level: "info", Destination: auditlog.File(open), Lost: func(error) {}})
		testutil.Must(t, err)
		return l
	}
	s.LogFile = func() (*os.File, error) { return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) }
	s.Log = to(s.LogFile)
	found(t, log(t.Context(), s), "ok a record was written to "+path)
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "jacamar-admin check") {
		t.Errorf("%q %v", text, err)
	}
	testutil.Must(t, os.Chmod(path, 0o644))
	found(t, log(t.Context(), s), "warn any account can read")
	s.Config.Auth.Logging.Location = config.Location{Syslog: true}
	found(t, log(t.Context(), s), "ok where others can write similar records")
	s.Log = to(func() (*os.File, error) { return nil, errors.New("no socket") })
	found(t, log(t.Context(), s), "fail cannot be written to ")
	s.StateDir = stateOf(t, daemonUID)
	found(t, log(t.Context(), s))
}

func TestUnwritten(t *testing.T) {
	fault := &trustedfile.Fault{File: "/var/log/x", Path: "/var/log", Problem: "is writable by others", Fix: "run: chmod o-w /var/log"}
	found(t, []Line{unwritten("/var/log/x", fault)}, "fail /var/log is writable by others")
	if got := unwritten("/var/log/x", fault).Fix; got != fault.Fix {
		t.Error(got)
	}
	if got := unwritten("syslog", errors.New("no socket")); !strings.HasSuffix(got.Text, ": no socket") || !strings.Contains(got.Fix, "[auth.logging]") {
		t.Errorf("%+v", got)
	}
}

func TestLogPlace(t *testing.T) {
	for name, tt := range map[string]struct {
		logging config.Logging
		want    string
		file    bool
	}{
		"no place":     {config.Logging{}, "/state/" + config.LogName, true},
		"a file":       {config.Logging{Location: config.Location{File: testutil.AbsPath(t, "/var/log/j")}}, "/var/log/j", true},
		"syslog":       {config.Logging{Location: config.Location{Syslog: true}}, "syslog", false},
		"the journal":  {config.Logging{Location: config.Location{Journal: true}}, "journald", false},
		"a log server": {config.Logging{Network: "udp", Address: "192.0.2.7:514"}, "udp 192.0.2.7:514", false},
	} {
		s := Site{Config: &config.Config{}, StateDir: testutil.AbsPath(t, "/state")}
		s.Config.Auth.Logging = tt.logging
		if where, file := logPlace(s); where != tt.want || file != tt.file {
			t.Errorf("%s: %q %v", name, where, file)
		}
	}
}

func TestJudgeLogFile(t *testing.T) {
	found(t, judgeLogFile("/l", 0o640, largeLog))
	found(t, judgeLogFile("/l", 0o644, largeLog), "warn any account can read the operator's log /l (mode 0644)")
	found(t, judgeLogFile("/l", 0o600, largeLog+1), "warn has 1024 MiB: nothing rotates it")
	found(t, judgeLogFile("/l", 0o604, 1<<40), "warn any account", "warn nothing rotates it")
}

// TestLogFile: a file that cannot be examined is no finding, as a record was written to it.
func TestLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	testutil.Must(t, os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o644))
	opened := func() (*os.File, error) { return os.Open(path) }
	closed := func() (*os.File, error) {
		f, err := os.Open(path)
		testutil.Must(t, err, f.Close())
		return f, nil
	}
	found(t, logFile(Site{LogFile: opened}, path), "warn any account can read")
	found(t, logFile(Site{LogFile: closed}, path))
	found(t, logFile(Site{LogFile: func() (*os.File, error) { return nil, errors.New("closed") }}, path))
}

// TestJournal: only a journal that is used, in a state that is this account's.
func TestJournal(t *testing.T) {
	s := stateSite(t, stateOf(t, 0).String())
	found(t, journal(t.Context(), s))
	s.Config.Auth.Journal.Enabled = true
	found(t, journal(t.Context(), s), "ok are recorded in ")
	s.TryJournal = func(context.Context) error { return errors.New("no space left") }
	found(t, journal(t.Context(), s), "fail the journal cannot be used, so that jobs are not listed, drained or stopped: no space left")
	for name, dir := range map[string]job.AbsPath{"another's": stateOf(t, daemonUID), "missing": testutil.AbsPath(t, filepath.Join(t.TempDir(), "x"))} {
		s.StateDir = dir
		if got := journal(t.Context(), s); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
