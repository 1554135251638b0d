package auth

import (
	"testing"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// elsewhere is a directory from the RunAs script in which no process can make anything.
func elsewhere(t *testing.T) *authDriver {
	t.Helper()
	dir, err := job.ParseAbsPath("/dev/null/$X")
	if err != nil {
		t.Fatal(err)
	}
	d := &authDriver{}
	d.state.RunAs.DataDir = dir
	return d
}

// TestDirectoryOfRunAsHasNoVariables: the script's path is literal; $ is not expanded.
func TestDirectoryOfRunAsHasNoVariables(t *testing.T) {
	d := elsewhere(t)
	s := ipc.Settings{DataDir: "$HOME"}
	s.VariableDataDir = true
	if d.delegated(&s); s.VariableDataDir || s.DataDir != "/dev/null/$X" {
		t.Errorf("%+v", s)
	}
}

// TestRootMakesDirectoriesInTheConfigStageOnly, and only where the site configured that:
// an attempt fails.
func TestRootMakesDirectoriesInTheConfigStageOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		asked bool
		down  settings.Downscope
		stage job.Stage
		tried bool
	}{
		"config":    {true, settings.Setuid, job.Config, true},
		"prepare":   {true, settings.Setuid, job.Prepare, false},
		"cleanup":   {true, settings.Setuid, job.Cleanup, false},
		"not asked": {false, settings.Setuid, job.Config, false},
		"none":      {true, settings.None, job.Config, false},
		"sudo":      {true, settings.Sudo, job.Config, false},
	} {
		d := elsewhere(t)
		d.Site.Auth.RootDirCreation, d.Site.Auth.Downscope, d.Call.Stage = tc.asked, tc.down, tc.stage
		if err := d.makeRootDir(job.Account{Name: testutil.Username(t, "alice"), UID: 1, GID: 1}); (err != nil) != tc.tried {
			t.Errorf("%s: %v", name, err)
		}
	}
}
