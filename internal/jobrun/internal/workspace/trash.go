package workspace

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/safedir"
)

// trashDir contains directories that are being removed. A directory that is moved there
// no longer exists for jobs, however long its removal takes: a partly removed build
// directory would break the next job's git.
const trashDir = ".trash"

// discard moves an entry to the trash. It is no error if the entry does not exist.
func (w *Workspace) discard(root, from *safedir.Dir, name string) error {
	trash, err := root.Make(trashDir)
	if err != nil {
		return err
	}
	defer trash.Close()
	return moveToTrash(trash, from, name)
}

func moveToTrash(trash, from *safedir.Dir, name string) error {
	err := from.Move(name, trash, fmt.Sprintf("%s-%d-%d", name, os.Getpid(), time.Now().UnixNano()))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// emptyTrash empties the trash of a directory, if it has one.
func (w *Workspace) emptyTrash(root *safedir.Dir, own string, until time.Time) error {
	trash, err := root.Open(trashDir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer trash.Close()
	return w.removeTrash(trash, own, until)
}

// removeTrash removes entries until the deadline; the next cleanup continues. It notes
// what it cannot remove, and returns an error only for entries that were named own.
func (w *Workspace) removeTrash(trash *safedir.Dir, own string, until time.Time) error {
	names, err := trash.Names()
	for _, name := range names {
		rerr := trash.Remove(name, until)
		if errors.Is(rerr, safedir.ErrDeadline) {
			w.noteOldTrash(trash, names, until)
			break
		}
		w.noteLeftover(trash.PathOf(name), rerr)
		if own != "" && strings.HasPrefix(name, own+"-") {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// trashNoticeTime is how long an entry may stay in the trash before it is reported: a
// large directory takes several cleanups.
const trashNoticeTime = 24 * time.Hour

// noteOldTrash notes the oldest entry if it has been there for too long.
func (w *Workspace) noteOldTrash(trash *safedir.Dir, names []string, now time.Time) {
	oldest := slices.MinFunc(names, func(a, b string) int { return discardTime(a).Compare(discardTime(b)) })
	if since := discardTime(oldest); now.Sub(since) > trashNoticeTime {
		path := trash.PathOf(oldest)
		w.noteLeftover(path, fmt.Errorf("cannot remove %s within the time limit of a cleanup: it has been there since %s", path, since.UTC().Format(time.DateOnly)))
	}
}

// discardTime is when an entry was moved to the trash, according to its name.
func discardTime(name string) time.Time {
	nanoseconds, err := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 64)
	if err != nil {
		return time.Unix(0, 0)
	}
	return time.Unix(0, nanoseconds)
}
