package imagestore

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/diskspace"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// State is the directory of one call of an engine. It is locked while its owner lives: the
// processes of a container end with their owner, so one that is not locked is left over.
type State struct {
	dir  *safedir.Dir
	lock *os.File
}

const (
	statePrefix = "jc."
	// stateTries bounds the names that are tried. A sweep of another job may take a new
	// directory before it is locked.
	stateTries = 20
	// removeTime bounds a removal.
	removeTime = 30 * time.Second
)

// NewState makes a directory for the account in temp.
func NewState(temp job.AbsPath, owner job.UID) (*State, error) {
	var taken error
	for range stateTries {
		path, err := StatePath(temp)
		if err != nil {
			return nil, err
		}
		dir, err := safedir.OpenBase(path, safedir.Rules{Owner: owner})
		if errors.Is(err, unix.ENOENT) { // a sweep removed it before it was opened, or temp is missing
			taken = err
			continue
		}
		if err != nil {
			return nil, err
		}
		if lock := lockDir(path); lock != nil {
			return &State{dir, lock}, nil
		}
		dir.Close()
		taken = failure.Systemf("cannot make a directory in %s: others remove it", temp)
	}
	return nil, taken
}

// StatePath returns a path for a new directory in temp, here or on another host.
func StatePath(temp job.AbsPath) (job.AbsPath, error) { return temp.Join(statePrefix + randomName()) }

// randomName returns 8 characters that others cannot guess.
func randomName() string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567" // 32, so that each is as probable
	name := make([]byte, 8)
	_, _ = unix.Getrandom(name, 0) // it cannot fail for so few bytes (getrandom(2))
	for i, b := range name {
		name[i] = letters[int(b)%len(letters)]
	}
	return string(name)
}

// Path returns the directory's path.
func (s *State) Path() job.AbsPath { return s.dir.Path() }

// Link makes a symbolic link in the directory.
func (s *State) Link(name string, to job.AbsPath) error {
	if err := os.Symlink(to.String(), s.dir.PathOf(name)); err != nil {
		return fmt.Errorf("cannot prepare a container: %w", err)
	}
	return nil
}

// Write writes a file in the directory, which only the account can read.
func (s *State) Write(name string, text []byte) error { return s.dir.Write(name, text) }

// Remove removes the directory and all that is in it.
func (s *State) Remove() error {
	err := empty(s.dir, time.Now().Add(removeTime))
	s.lock.Close()
	return err
}

// empty removes an open directory with its content, and closes it.
func empty(dir *safedir.Dir, until time.Time) error {
	defer dir.Close()
	names, err := dir.Names()
	for _, name := range names {
		err = cmp.Or(err, dir.Remove(name, until))
	}
	if err == nil {
		err = unix.Rmdir(dir.Path().String())
	}
	if err == nil || errors.Is(err, unix.ENOENT) { // another process has removed it
		return nil
	}
	return diskspace.Explain(fmt.Sprintf("cannot remove %s", dir.Path()), dir.Path().String(), err)
}

// lockDir locks a directory that belongs to the caller, nil where another process has
// locked or removed it.
func lockDir(path job.AbsPath) *os.File {
	fd, err := eintr.Openat(unix.AT_FDCWD, path.String(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return nil
	}
	file := os.NewFile(uintptr(fd), path.String())
	var opened, named unix.Stat_t
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil || unix.Fstat(fd, &opened) != nil ||
		unix.Lstat(path.String(), &named) != nil || named.Ino != opened.Ino || named.Dev != opened.Dev {
		file.Close()
		return nil
	}
	return file
}

// Sweep removes the account's directories in temp whose owners are gone, until the
// deadline. It returns the first error of a removal.
func Sweep(temp job.AbsPath, owner job.UID, until time.Time) (first error) {
	entries, err := os.ReadDir(temp.String())
	if err != nil {
		return nil // NewState reports it to a job that needs the directory
	}
	for _, entry := range entries {
		if !swept(entry) || time.Now().After(until) {
			continue
		}
		first = cmp.Or(first, sweepOne(temp, entry.Name(), owner, until))
	}
	return first
}

// swept reports whether an entry may be left over, by its name. Where only a shell makes a
// directory, its name begins with a dot until it is locked, which takes less than a minute.
func swept(entry os.DirEntry) bool {
	name, hidden := strings.CutPrefix(entry.Name(), ".")
	switch {
	case !strings.HasPrefix(name, statePrefix):
		return false
	case !hidden:
		return true
	}
	info, err := entry.Info()
	return err == nil && time.Since(info.ModTime()) > time.Minute
}

func sweepOne(temp job.AbsPath, name string, owner job.UID, until time.Time) error {
	path, err := temp.Join(name)
	if err != nil {
		return nil
	}
	var st unix.Stat_t
	if _ = unix.Lstat(path.String(), &st); st.Uid != uint32(owner) {
		return nil // its owner must not find it locked
	}
	lock := lockDir(path)
	if lock == nil {
		return nil
	}
	defer lock.Close()
	dir, err := safedir.OpenExisting(path, safedir.Rules{Owner: owner})
	if err != nil {
		return nil // removed, or no directory of ours
	}
	return empty(dir, until)
}
