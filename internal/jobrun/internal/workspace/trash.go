package workspace

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/jobrun/internal/folder"
)

// trashDir holds directories that are being removed. Moved there, one is gone for
// jobs at once, however long its removal takes and whoever goes on with it: a
// build directory that was removed by half would break the next job's git.
const trashDir = ".trash"

// discard moves an entry to the trash. What is gone already is no error.
func (w *Workspace) discard(root, from *folder.Folder, name string) error {
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

// emptyTrash removes until the time is over; the next cleanup goes on. It returns
// the first reason for something that stays, unless that is the time.
func emptyTrash(root *folder.Folder, until time.Time) error {
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
		if errors.Is(rerr, folder.ErrLate) {
			break
		}
		err = errors.Join(err, rerr)
	}
	return err
}
