package setup

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/noreplace"
)

// Change is a file that is written and not yet in its place, so that several files take
// their places together or not at all.
type Change struct {
	draft *draft
	// replace is set where the file may exist, closed where its former contents are then
	// for its owner alone.
	replace, closed bool
	// from are the contents that the file's new ones were made of, nil for none.
	from *string
	// backup is the name of the former file in the same directory, "" for none.
	backup  string
	applied bool
}

// Path is the file.
func (c *Change) Path() job.AbsPath { return c.draft.at.path }

// Backup is the file that has the former contents, "" where there were none.
func (c *Change) Backup() string {
	if c.backup == "" {
		return ""
	}
	return c.draft.at.entry.Path[:len(c.draft.at.entry.Path)-len(c.draft.at.entry.Name)] + c.backup
}

// Discard removes what is not in its place.
func (c *Change) Discard() {
	if !c.applied {
		c.draft.discard()
	}
	c.draft.at.close()
}

// Apply puts all files into their places. Where one cannot be, none is.
func Apply(now time.Time, changes ...*Change) error {
	err := eachChange(changes, func(c *Change) error { return c.apply(now) })
	if err == nil {
		err = eachChange(changes, (*Change).close)
	}
	if err == nil {
		return nil
	}
	for _, c := range changes {
		err = errors.Join(err, c.undo())
	}
	return err
}

// eachChange calls do for each change until one fails.
func eachChange(changes []*Change, do func(*Change) error) error {
	for _, c := range changes {
		if err := do(c); err != nil {
			return err
		}
	}
	return nil
}

// close lets only its owner read the former file. With file capabilities the account of the
// service can use every configuration that it can read, former ones as well.
func (c *Change) close() error {
	if !c.closed || c.backup == "" {
		return nil
	}
	if err := unix.Fchmodat(c.draft.at.entry.Dir, c.backup, 0o600, 0); err != nil {
		return c.notKept(c.backup, err)
	}
	return nil
}

func (c *Change) notKept(backup string, err error) error {
	return fmt.Errorf("cannot keep the former %s as %s: %w", c.Path(), backup, err)
}

// apply keeps a former file as a second name of it before the new one takes its place.
func (c *Change) apply(now time.Time) error {
	dir, name := c.draft.at.entry.Dir, c.draft.at.entry.Name
	if c.replace {
		backup := fmt.Sprintf("%s.%s.bak", name, now.UTC().Format("20060102T150405.000"))
		switch err := unix.Linkat(dir, name, dir, backup, 0); {
		case err == nil:
			c.backup = backup
		case !errors.Is(err, unix.ENOENT):
			return c.notKept(backup, err)
		}
	}
	err := c.unchanged()
	if err == nil {
		err = c.draft.place(c.replace)
	}
	c.applied = err == nil
	if err != nil && c.backup != "" {
		err = errors.Join(err, unix.Unlinkat(dir, c.backup, 0))
		c.backup = ""
	}
	return err
}

// unchanged is an error where another program has written the file since it was read, as
// gitlab-runner does to register a runner: what it wrote would be lost.
func (c *Change) unchanged() error {
	if c.from == nil {
		return nil
	}
	is, _, err := c.draft.at.read(maxRunnerFile)
	if err == nil && is != *c.from {
		err = fmt.Errorf("another program has changed %s at the same time: run the command again", c.Path())
	}
	return err
}

// undo puts the former file back, or removes the new one where there was none.
func (c *Change) undo() error {
	dir, name := c.draft.at.entry.Dir, c.draft.at.entry.Name
	if !c.applied {
		return nil
	}
	if c.backup != "" {
		return unix.Renameat(dir, c.backup, dir, name)
	}
	return unix.Unlinkat(dir, name, 0)
}

// moved gives a draft its place without replacing another file.
func (d *draft) moved() error {
	dir, name := d.at.entry.Dir, d.at.entry.Name
	err := noreplace.Rename(dir, d.name, dir, name)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s exists: give --force to replace it, which keeps the former file, or --wire to use it for another runner", d.at.path)
	}
	return err
}
