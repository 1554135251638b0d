package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// Mark is a file in the journal by which administrators refuse new jobs or end a job.
type Mark struct {
	// Message is for the users.
	Message string `json:"message"`
	// Until is when the mark expires, in seconds since 1970; 0 means never.
	Until int64 `json:"until,omitempty"`
	// Hold is how long a config stage waits for the mark's end before it refuses the job,
	// in seconds.
	Hold int64 `json:"hold,omitempty"`
	// Allow are accounts that a drain does not apply to.
	Allow []job.UID `json:"allow,omitempty"`
	Made  int64     `json:"made"` // seconds since 1970
}

// InForce reports whether the mark has not expired.
func (m Mark) InForce(now time.Time) bool { return m.Until == 0 || now.Unix() < m.Until }

// MarkName is the name of a mark's file.
type MarkName string

// Drain refuses all new jobs.
const Drain MarkName = "drain"

const (
	accountPrefix = "account-"
	projectPrefix = "project-"
	stopPrefix    = "stop-"
	stopAccount   = "stopaccount-"

	maxMark    = 4 << 10 // bytes of a mark
	maxMessage = 1 << 10 // bytes of its message
)

// DrainAccount refuses new jobs of an account.
func DrainAccount(uid job.UID) MarkName {
	return MarkName(accountPrefix + strconv.FormatUint(uint64(uid), 10))
}

// DrainProject refuses new jobs of a project.
func DrainProject(id job.ID) MarkName { return MarkName(projectPrefix + id.String()) }

// StopJob ends one job.
func StopJob(id job.ID) MarkName { return MarkName(stopPrefix + id.String()) }

// StopAccount ends all jobs of an account that started before the mark was set.
func StopAccount(uid job.UID) MarkName {
	return MarkName(stopAccount + strconv.FormatUint(uint64(uid), 10))
}

// ErrNoMark reports that the mark to remove does not exist.
var ErrNoMark = errors.New("there is no such mark")

// SetMark writes a mark atomically.
func SetMark(dir job.AbsPath, name MarkName, m Mark) error {
	m.Message = job.Shorten(strings.TrimSpace(job.Printable(m.Message)), maxMessage)
	text, err := encode(m)
	if err != nil {
		return fmt.Errorf("cannot encode the mark %s: %w", name, err)
	}
	if len(text) > maxMark { // readers take no more
		return fmt.Errorf("cannot write the mark %s: it has %d bytes, more than %d: allow fewer accounts", name, len(text), maxMark)
	}
	parent, err := marks(dir, true)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	shown := path.Join(dir.String(), markDir, string(name))
	err = replaceIn(parent, string(name), shown, text)
	if err == nil {
		removeExpired(dir, parent, time.Unix(m.Made, 0).Add(-expiredTime))
	}
	return err
}

// expiredTime is how long a mark stays that is not in force any more: of accounts and jobs
// that no longer exist, nothing else removes it.
const expiredTime = 24 * time.Hour

// removeExpired removes the marks that expired before a time, as far as that is possible.
func removeExpired(dir job.AbsPath, parent int, before time.Time) {
	marks, _ := list(dir, markDir)
	for _, e := range marks {
		expired := func() bool {
			m, ok, _ := GetMark(dir, MarkName(e.Name()))
			return ok && m.Until != 0 && m.Until < before.Unix()
		}
		if strings.HasPrefix(e.Name(), ".") || !expired() {
			continue
		}
		temporary := "." + e.Name() + ".new" // another process that sets the mark has it
		file, err := openTemporary(parent, temporary)
		if err != nil {
			continue
		}
		if expired() {
			_ = unix.Unlinkat(parent, e.Name(), 0)
		}
		_ = unix.Unlinkat(parent, temporary, 0)
		file.Close()
	}
}

// RemoveMark removes a mark. ErrNoMark means that there was none.
func RemoveMark(dir job.AbsPath, name MarkName) error {
	parent, err := marks(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoMark
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	err = unix.Unlinkat(parent, string(name), 0)
	if errors.Is(err, unix.ENOENT) {
		return ErrNoMark
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", path.Join(dir.String(), markDir, string(name)), err)
	}
	return nil
}

// marks opens the directory of the marks.
func marks(dir job.AbsPath, create bool) (int, error) {
	top, err := openDirectory(unix.AT_FDCWD, dir.String(), dir.String())
	if err != nil {
		return -1, err
	}
	defer unix.Close(top)
	shown := path.Join(dir.String(), markDir)
	if create {
		return subdirectory(top, markDir, shown)
	}
	return openDirectory(top, markDir, shown)
}

// GetMark reads a mark; ok is false if there is none, or with an error.
func GetMark(dir job.AbsPath, name MarkName) (m Mark, ok bool, err error) {
	text, file, err := read(dir, maxMark, markDir, string(name))
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	defer file.Close()
	if err := json.Unmarshal(text, &m); err != nil {
		return m, false, fmt.Errorf("cannot read %s: %w", file.Name(), err)
	}
	m.Message = job.Shorten(job.Printable(m.Message), maxMessage)
	return m, true, nil
}

// KeptOut returns the first mark in force that refuses a new job: of its account, of
// its project, of all. A mark that cannot be read is an error, which stops no job; the
// others are in force.
func KeptOut(dir job.AbsPath, k Key, now time.Time) (m Mark, ok bool, err error) {
	var unread []error
	for _, name := range []MarkName{DrainAccount(k.UID), DrainProject(k.Project), Drain} {
		m, ok, err = GetMark(dir, name)
		unread = append(unread, err)
		if ok && m.InForce(now) && !slices.Contains(m.Allow, k.UID) {
			return m, true, errors.Join(unread...)
		}
	}
	return Mark{}, false, errors.Join(unread...)
}

// Stopped returns the mark in force by which administrators ended a job. A mark of an
// account is for its jobs that began before the mark was made. An error is as that of
// KeptOut.
func Stopped(dir job.AbsPath, k Key, now time.Time, began func() time.Time) (m Mark, ok bool, err error) {
	m, ok, unread := GetMark(dir, StopJob(k.Job))
	if ok && m.InForce(now) {
		return m, ok, nil
	}
	m, ok, err = GetMark(dir, StopAccount(k.UID))
	return m, ok && m.InForce(now) && began().Unix() <= m.Made, errors.Join(unread, err)
}
