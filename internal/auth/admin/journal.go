package admin

import (
	"context"
	"fmt"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// JournalOf is the journal of an installation.
type JournalOf struct {
	Dir job.AbsPath
	// Program is the jacamar-auth that writes it.
	Program job.AbsPath
	site    auth.Installation
}

// OpenJournal finds the journal of a configuration.
func OpenJournal(ctx context.Context, configuration string) (j JournalOf, err error) {
	if err := refuseClosed(); err != nil {
		return j, err
	}
	if j.site, err = open(configuration, &configuration); err != nil {
		return j, err
	}
	// The caller of a sudo rule chooses the file, and root makes directories where it
	// names them.
	file, err := job.ParseAbsPath(configuration)
	if err != nil {
		return j, err
	}
	if faults := j.site.Trust().Check(file); len(faults) > 0 {
		return j, failure.Configf("cannot use the configuration: %w", &faults[0])
	}
	if err := j.site.Load(); err != nil {
		return j, err
	}
	if !j.site.Config().Auth.Journal.Enabled {
		return j, failure.Configf("there is no journal: auth.journal.enabled is false in %s", j.site.File())
	}
	if err := j.site.FindHelper(); err != nil {
		return j, err
	}
	if j.Program, err = privilegedProgram(); err != nil {
		return j, err
	}
	err = j.site.InJournal(ctx, func(dir job.AbsPath) error { j.Dir = dir; return nil })
	return j, err
}

// AsOwner runs f as the account that has the journal.
func (j JournalOf) AsOwner(f func() error) error {
	return j.site.InJournal(context.Background(), func(job.AbsPath) error { return f() })
}

// Account returns the uid of an account by its name.
func (j JournalOf) Account(ctx context.Context, name string) (job.UID, error) {
	login, err := job.ParseUsername(name)
	if err != nil {
		return 0, err
	}
	a, err := j.site.Names().Lookup(ctx, login)
	if err != nil {
		return 0, fmt.Errorf("cannot find the account %s: %w", login, err)
	}
	return a.UID, nil
}
