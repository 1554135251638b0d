package setup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// maxRunnerFile is far above any runner's configuration, in bytes.
const maxRunnerFile = 4 << 20

// MergeFile merges the wiring into a runner's config.toml, which keeps its owner
// and its mode, less what others than owner and group may do: it has the runner's
// token. The file and the way to it must belong to root or to the service account.
// The runner notices the new file by itself.
func (w Wiring) MergeFile(path job.AbsPath, runner string, service job.UID) error {
	t, err := openTarget(path, trustedfile.Trust{Account: service})
	if err != nil {
		return err
	}
	defer t.close()
	text, was, err := read(t, service)
	if err != nil {
		return err
	}
	merged, err := w.Merge(text, runner)
	if err != nil {
		return fmt.Errorf("cannot edit %s: %w", path, err)
	}
	return replace(t, merged, was)
}

// file is what the new file has of the old one.
type file struct {
	uid, gid int
	mode     os.FileMode
}

func read(t target, service job.UID) (text string, was file, err error) {
	f, err := t.open()
	if err != nil {
		return "", was, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", was, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.Mode().IsRegular():
		return "", was, fmt.Errorf("%s is not a regular file", t.path)
	case stat.Uid != 0 && stat.Uid != uint32(service):
		return "", was, fmt.Errorf("%s is owned by uid %d, not by root or the account of the service (uid %d)", t.path, stat.Uid, service)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRunnerFile))
	return string(b), file{int(stat.Uid), int(stat.Gid), info.Mode().Perm() &^ 0o007}, err
}

func replace(t target, text string, was file) error {
	d, err := t.draft()
	if err != nil {
		return err
	}
	defer d.discard()
	_, err = d.WriteString(text)
	if err := errors.Join(err, d.Chown(was.uid, was.gid), d.Chmod(was.mode)); err != nil {
		return err
	}
	return d.place(true)
}
