package auth

import (
	"jacamar-ci/internal/auth/internal/basedir"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// makeRootDir makes the account's base directory where the site wants root to.
func (d *authDriver) makeRootDir(account job.Account) error {
	if !d.Site.Auth.RootDirCreation || d.Site.Auth.Downscope != settings.Setuid || d.Call.Stage != job.Config {
		return nil
	}
	dataDir, err := job.ParseAbsPath(d.dataDir())
	if err != nil {
		return failure.Configf("cannot use data_dir with root_dir_creation: %w", err)
	}
	return basedir.Make(dataDir, account)
}
