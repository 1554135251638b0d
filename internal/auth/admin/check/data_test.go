package check

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

// dataSite is a site with a data_dir.
func dataSite(t *testing.T, dir string, scope settings.Downscope) Site {
	t.Helper()
	s := Site{Config: &config.Config{}, Names: account.System(nil, nil)}
	s.Config.Auth.Downscope = scope
	testutil.Must(t, s.Config.General.DataDir.UnmarshalText([]byte(dir)))
	return s
}

// TestDataDirOfJobs: a path that differs between accounts is judged by their jobs alone.
func TestDataDirOfJobs(t *testing.T) {
	for _, dir := range []string{"$HOME", "~/ci", "$SCRATCH", "/nonexistent/$PROJECT/ci", "$HOME/$PROJECT"} {
		found(t, dataDirectory(t.Context(), dataSite(t, dir, settings.Setuid)), "ok of their account")
	}
}

// TestMissingDataDir: the nearest directory that exists decides whether root can make one.
func TestMissingDataDir(t *testing.T) {
	for name, tt := range map[string]struct {
		mode      fs.FileMode
		below     string
		want, fix string
	}{
		"root's":                {0o755, "/ci", "fail does not exist", "make it: install -d -m 0755"},
		"deeper in root's":      {0o755, "/a/b/ci", "fail does not exist", "make it: install -d -m 0755"},
		"one for all":           {0o777 | fs.ModeSticky, "/ci", "fail is writable by group and others", "name a data_dir below directories"},
		"deeper in one for all": {0o777 | fs.ModeSticky, "/a/b/ci", "fail is writable by group and others", "name a data_dir below directories"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := openDir(t)
			testutil.Must(t, os.Chmod(dir, tt.mode))
			got := dataDirectory(t.Context(), dataSite(t, dir+tt.below, settings.Setuid))
			found(t, got, tt.want)
			if !strings.HasPrefix(got[0].Fix, tt.fix) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestClosedAbove: the topmost directory that accounts cannot enter is the one to open.
func TestClosedAbove(t *testing.T) {
	dir := openDir(t)
	outer, inner := filepath.Join(dir, "outer"), filepath.Join(dir, "outer/inner")
	data := filepath.Join(inner, "data")
	testutil.Must(t, os.MkdirAll(data, 0o755))
	found(t, dataSite(t, data, settings.Setuid).closedAbove(data))
	testutil.Must(t, os.Chmod(inner, 0o700))
	found(t, dataSite(t, data, settings.Setuid).closedAbove(data), "fail they cannot enter "+inner+" (mode 0700)")
	testutil.Must(t, os.Chmod(outer, 0o700))
	found(t, dataSite(t, data, settings.Setuid).closedAbove(data), "fail they cannot enter "+outer+" (mode 0700)")
	found(t, dataSite(t, data, settings.None).closedAbove(data))
	testutil.Must(t, os.Chmod(outer, 0o710), os.Chmod(inner, 0o755))
	found(t, dataSite(t, data, settings.Setuid).closedAbove(data)) // a group may be that of all accounts
}

func TestReplaceable(t *testing.T) {
	faults := []trustedfile.Fault{{Path: "/a", Problem: "is owned by uid 7", Fix: "x", UID: 7}, {Path: "/b", Problem: "is writable by others", Fix: "x"}}
	found(t, replaceable("/a/b", faults), "fail uid 7 could replace the directory of another in /a/b: /a is owned", "fail any account could replace")
}

// TestOwnDirectories: root alone can make the directories of accounts, and only where jobs
// change to them.
func TestOwnDirectories(t *testing.T) {
	for _, tt := range []struct {
		uid   job.UID
		scope settings.Downscope
		root  bool
	}{{0, settings.Setuid, true}, {7, settings.Setuid, false}, {0, settings.Sudo, false}, {7, settings.Sudo, false}} {
		s := dataSite(t, "/data", tt.scope)
		s.UID = tt.uid
		if got := s.ownDirectories("/data"); strings.Contains(got, "root_dir_creation") != tt.root || !strings.Contains(got, "chown -h ACCOUNT /data/ACCOUNT") {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// TestDataTrust: with jobs of one account its directory may be that account's, also where
// root looks at an installation of that account.
func TestDataTrust(t *testing.T) {
	dir := openDir(t)
	testutil.Must(t, os.Chown(dir, daemonUID, -1))
	s := dataSite(t, dir, settings.None)
	s.StateDir = stateOf(t, daemonUID)
	found(t, dataDirectory(t.Context(), s), "ok can be used")
	s.StateDir = stateOf(t, 0)
	found(t, dataDirectory(t.Context(), s), "fail is owned by uid 1, not by root")
}

// TestJudgeHome: only where all jobs are this account's, which is not root.
func TestJudgeHome(t *testing.T) {
	for name, tt := range map[string]struct {
		uid   job.UID
		scope settings.Downscope
		want  bool
	}{
		"all jobs are this account's": {daemonUID, settings.None, true},
		"jobs of others":              {daemonUID, settings.Setuid, false},
		"root":                        {0, settings.None, false},
		"an account that is not":      {unusedUID, settings.None, false},
	} {
		s := dataSite(t, "$HOME", tt.scope)
		s.UID = tt.uid
		if home := s.ownHome(t.Context()); home.IsZero() == tt.want {
			t.Errorf("%s: %q", name, home)
		}
	}
	s := dataSite(t, "$HOME", settings.None)
	if s.UID = job.Nobody; s.ownHome(t.Context()) != testutil.AbsPath(t, "/nonexistent") {
		t.Skip("another home than that of Debian")
	}
	found(t, dataDirectory(t.Context(), s), "fail /nonexistent does not exist")
}
