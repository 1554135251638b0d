package auth

import (
	"jacamar-ci/internal/auth/internal/basedir"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// makeRootDir makes the account's base directory where the site wants root to.
func (d *driver) makeRootDir(account job.Account) error {
	if !d.site.Auth.RootDirCreation || d.site.Auth.Downscope != config.Setuid || d.call.Stage != job.Config {
		return nil
	}
	dataDir, err := job.ParseAbsPath(d.dataDir())
	if err != nil {
		return failure.Configf("cannot use data_dir with root_dir_creation: %w", err)
	}
	return basedir.Make(dataDir, account)
}
