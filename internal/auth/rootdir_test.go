package auth

import (
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

// elsewhere is a directory that the RunAs script gave, and that nobody can make
// anything in.
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

// TestDirectoryOfRunAsHasNoVariables: the script said a path, and a dollar in it
// is a dollar.
func TestDirectoryOfRunAsHasNoVariables(t *testing.T) {
	d := elsewhere(t)
	s := ipc.Settings{DataDir: "$HOME", Storage: ipc.Storage{VariableDataDir: true}}
	if d.delegated(&s); s.Storage.VariableDataDir || s.DataDir != "/dev/null/$X" {
		t.Errorf("%+v", s)
	}
}

// TestRootMakesDirectoriesInTheConfigStageOnly, and only where it is asked to: the
// attempt shows by its failure.
func TestRootMakesDirectoriesInTheConfigStageOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		asked bool
		down  config.Downscope
		stage job.Stage
		tried bool
	}{
		"config":    {true, config.Setuid, job.Config, true},
		"prepare":   {true, config.Setuid, job.Prepare, false},
		"cleanup":   {true, config.Setuid, job.Cleanup, false},
		"not asked": {false, config.Setuid, job.Config, false},
		"none":      {true, config.None, job.Config, false},
		"sudo":      {true, config.Sudo, job.Config, false},
	} {
		d := elsewhere(t)
		d.Site.Auth.RootDirCreation, d.Site.Auth.Downscope, d.Call.Stage = tc.asked, tc.down, tc.stage
		if err := d.makeRootDir(job.Account{Name: username(t, "alice"), UID: 1, GID: 1}); (err != nil) != tc.tried {
			t.Errorf("%s: %v", name, err)
		}
	}
}
