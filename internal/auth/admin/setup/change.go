package setup

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/noreplace"
)

// Change is a file that is written and not yet in its place, so that several files take
// their places together or not at all.
type Change struct {
	target
	// draft is the new file next to the target, for its maker alone, and name its name.
	draft *os.File
	name  string
	// replace is set where the file may exist, closed where its former contents are then
	// for its owner alone.
	replace, closed bool
	// from are the contents that the file's new ones were made of, nil for none.
	from *string
	// backup is the name of the former file in the same directory, "" for none.
	backup  string
	applied bool
}

// change writes a draft of the target, of which judge, where there is one, is given the name.
// The target is closed with the change, or where there is an error.
func (t target) change(text string, access Access, replace bool, judge func(draft string) error) (*Change, error) {
	name := "." + t.entry.Name + "-" + rand.Text()
	fd, err := eintr.Openat(t.entry.Dir, name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW)
	if err != nil {
		t.close()
		return nil, &fs.PathError{Op: "make a file next to", Path: t.path.String(), Err: err}
	}
	c := &Change{target: t, draft: os.NewFile(uintptr(fd), t.path.String()), name: name, replace: replace}
	if _, err = c.draft.WriteString(text); err == nil && judge != nil {
		err = judge(name)
	}
	if err = errors.Join(err, c.draft.Chown(access.UID, access.GID), c.draft.Chmod(access.Mode)); err != nil {
		c.Discard()
		return nil, err
	}
	return c, nil
}

// Path is the file.
func (c *Change) Path() job.AbsPath { return c.path }

// Backup is the file that has the former contents, "" where there were none.
func (c *Change) Backup() string {
	if c.backup == "" {
		return ""
	}
	return strings.TrimSuffix(c.entry.Path, c.entry.Name) + c.backup
}

// Discard removes what is not in its place.
func (c *Change) Discard() {
	if !c.applied {
		c.draft.Close()
		_ = unix.Unlinkat(c.entry.Dir, c.name, 0) // gone by then, when all went well
	}
	c.close()
}

// Apply puts all files into their places. Where one cannot be, none is.
func Apply(now time.Time, changes ...*Change) (err error) {
	for _, c := range changes {
		if err == nil {
			err = c.apply(now)
		}
	}
	for _, c := range changes {
		if err == nil {
			err = c.closeBackup()
		}
	}
	if err == nil {
		return nil
	}
	for _, c := range changes {
		err = errors.Join(err, c.undo())
	}
	return err
}

// closeBackup lets only its owner read the former file. With file capabilities the account of
// the service can use every configuration that it can read, former ones as well.
func (c *Change) closeBackup() error {
	if !c.closed || c.backup == "" {
		return nil
	}
	if err := unix.Fchmodat(c.entry.Dir, c.backup, 0o600, 0); err != nil {
		return c.notKept(c.backup, err)
	}
	return nil
}

func (c *Change) notKept(backup string, err error) error {
	return fmt.Errorf("cannot keep the former %s as %s: %w", c.path, backup, err)
}

// apply keeps a former file as a second name of it before the new one takes its place.
func (c *Change) apply(now time.Time) error {
	dir, name := c.entry.Dir, c.entry.Name
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
		err = c.place()
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
	is, _, err := c.read(maxRunnerFile)
	if err == nil && is != *c.from {
		err = fmt.Errorf("another program has changed %s at the same time: run the command again", c.path)
	}
	return err
}

// place closes the draft and makes it the target.
func (c *Change) place() error {
	dir, name := c.entry.Dir, c.entry.Name
	if err := errors.Join(c.draft.Sync(), c.draft.Close()); err != nil {
		return err
	}
	if c.replace {
		return unix.Renameat(dir, c.name, dir, name)
	}
	err := noreplace.Rename(dir, c.name, dir, name)
	if errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("%s exists: give --force to replace it, which keeps the former file, or --wire to use it for another runner", c.path)
	}
	return err
}

// undo puts the former file back, or removes the new one where there was none.
func (c *Change) undo() error {
	dir, name := c.entry.Dir, c.entry.Name
	switch {
	case !c.applied:
		return nil
	case c.backup != "":
		return unix.Renameat(dir, c.backup, dir, name)
	}
	return unix.Unlinkat(dir, name, 0)
}
