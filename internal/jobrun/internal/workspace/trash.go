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

// trashDir holds directories that are being removed. Moved there, one is gone for
// jobs at once, however long its removal takes and whoever goes on with it: a
// build directory that was removed by half would break the next job's git.
const trashDir = ".trash"

// discard moves an entry to the trash. What is gone already is no error.
func (w *Workspace) discard(root, from *safedir.Folder, name string) error {
	trash, err := root.Make(trashDir)
	if err != nil {
		return err
	}
	defer trash.Close()
	err = from.Move(name, trash, fmt.Sprintf("%s-%d-%d", name, os.Getpid(), time.Now().UnixNano()))
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// emptyTrash removes until the time is over; the next cleanup goes on. What cannot be
// removed is noted. It is an error only when it was named own.
func (w *Workspace) emptyTrash(root *safedir.Folder, own string, until time.Time) error {
	trash, err := root.Open(trashDir)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer trash.Close()
	names, err := trash.Names()
	for _, name := range names {
		rerr := trash.Remove(name, until)
		if errors.Is(rerr, safedir.ErrLate) {
			w.noteLate(trash, names, until)
			break
		}
		w.note(trash.Path().String()+"/"+name, rerr)
		if own != "" && strings.HasPrefix(name, own+"-") {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// patience is how long something may wait in the trash before that is worth a note: a
// large directory takes several cleanups.
const patience = 24 * time.Hour

// noteLate notes the oldest entry when it has waited for long.
func (w *Workspace) noteLate(trash *safedir.Folder, names []string, now time.Time) {
	oldest := slices.MinFunc(names, func(a, b string) int { return discarded(a).Compare(discarded(b)) })
	if since := discarded(oldest); now.Sub(since) > patience {
		path := trash.Path().String() + "/" + oldest
		w.note(path, fmt.Errorf("cannot remove %s in the time that cleanups have: it has been there since %s", path, since.UTC().Format(time.DateOnly)))
	}
}

// discarded is when an entry came into the trash, by its name.
func discarded(name string) time.Time {
	nanoseconds, err := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 64)
	if err != nil {
		return time.Unix(0, 0)
	}
	return time.Unix(0, nanoseconds)
}
