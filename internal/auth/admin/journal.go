package admin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth"
	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/settings"
)

// Journal is the journal of an installation.
type Journal struct {
	Dir job.AbsPath
	// Program is the jacamar-auth that writes it.
	Program job.AbsPath
	site    auth.Installation
}

// OpenJournal finds the journal of a configuration.
func OpenJournal(ctx context.Context, configuration string) (j Journal, err error) {
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
func (j Journal) AsOwner(f func() error) error {
	return j.site.InJournal(context.Background(), func(job.AbsPath) error { return f() })
}

// Account returns the uid of an account by its name.
func (j Journal) Account(ctx context.Context, name string) (job.UID, error) {
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

// KillTimeout is general.kill_timeout.
func (j Journal) KillTimeout() time.Duration { return j.site.Config().General.KillTimeout }

const (
	// reapLimit bounds the cleanup of one abandoned job, which may wait for a batch
	// system and for storage.
	reapLimit = 10 * time.Minute
	// reapOutput bounds what jacamar-auth prints of it, in bytes.
	reapOutput = 16 << 10
)

// Reaper returns a function that cleans up after one abandoned job: it runs jacamar-auth
// as the runner's service does.
func (j Journal) Reaper(ctx context.Context) (func(context.Context, journal.Key) error, error) {
	as, err := j.service(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, k journal.Key) error {
		r, err := subprocess.Command{
			Path: j.Program.String(), Args: []string{"reap", "--configuration", j.site.File().String(), k.String()},
			Env: []string{"PATH=/usr/bin:/bin"}, As: as, Limit: reapLimit, MaxOutput: reapOutput, MaxErrors: reapOutput,
		}.Run(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("cannot run %s: %w", j.Program, err)
		case r.Code != 0:
			return errors.New(plain(string(r.Stderr)))
		}
		return nil
	}, nil
}

// service returns the ids of the account that runs jacamar-auth, nil where that is this
// process's.
func (j Journal) service(ctx context.Context) (*thread.IDs, error) {
	uid := j.site.UID()
	if uid == 0 && j.site.Config().Auth.Downscope != settings.Setuid {
		var info unix.Stat_t
		if err := unix.Stat(j.Dir.String(), &info); err != nil {
			return nil, fmt.Errorf("cannot examine the journal: %w", err)
		}
		uid = job.UID(info.Uid)
	}
	if uid == job.UID(os.Geteuid()) {
		return nil, nil
	}
	a, err := j.site.Names().ByUID(ctx, uid)
	if err != nil {
		return nil, err
	}
	return thread.Of(a), nil
}

// plain returns the lines for a job's log as one line without colors.
func plain(text string) string {
	colors := strings.NewReplacer("\x1b[31;1m", "", "\x1b[0;33m", "", "\x1b[0;36m", "", "\x1b[0m", "")
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
	for i, line := range lines {
		line = strings.TrimPrefix(colors.Replace(line), "jacamar:")
		lines[i] = strings.TrimPrefix(strings.TrimSpace(line), "ERROR: ")
	}
	return strings.Join(lines, "; ")
}
