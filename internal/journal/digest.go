package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/eintr"
	"jacamar-ci/internal/job"
)

// digestDir has a file for each day with one accounting line a job, which is kept for
// longer than the day and has no names.
const digestDir = "digest"

// Undigested returns the names of the day files of a host that have no digest, of the days
// before today (YYYY-MM-DD, UTC).
func Undigested(dir job.AbsPath, host, today string) ([]string, error) {
	days, err := Days(dir, host)
	if err != nil {
		return nil, err
	}
	digests, err := Digests(dir, host)
	return slices.DeleteFunc(days, func(day string) bool { return day >= today || slices.Contains(digests, day) }), err
}

// Digests returns the names of the digests of a host, the oldest first.
func Digests(dir job.AbsPath, host string) ([]string, error) { return dayNames(dir, host, digestDir) }

// ReadDigest returns the digest of a day.
func ReadDigest(dir job.AbsPath, host, name string) ([]byte, error) {
	text, file, err := read(dir, LongestDay, host, digestDir, name)
	if err != nil {
		return nil, err
	}
	return text, file.Close()
}

// WriteDigest writes the digest of a day, whole or not at all.
func (j *Journal) WriteDigest(name string, text []byte) error {
	parent, err := j.subdirectory(digestDir)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return replaceIn(parent, name, path.Join(j.path, digestDir, name), text)
}

// replaceIn replaces a file in a directory of the journal.
func replaceIn(parent int, name, shown string, text []byte) error {
	err := Replace(parent, name, fileMode, func(w io.Writer) error { _, err := w.Write(text); return err })
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", shown, err)
	}
	return nil
}

// Person is whom Forget removes from the days.
type Person struct {
	// Account is a name that the name service may no longer have.
	Account string
	// Logins are the names at GitLab whose refused jobs are the person's.
	Logins map[string]bool
}

// LoginsOf adds to the person the logins that its account's ended jobs on a host have.
func (p *Person) LoginsOf(dir job.AbsPath, host string) error {
	return eachDay(dir, host, func(file *os.File, text []byte) error {
		for _, e := range parseEvents(text) {
			if c := e.Context; e.Name == Granted && c.Account == p.Account && c.Login != "" {
				p.Logins[c.Login] = true
			}
		}
		return nil
	})
}

// Forget removes the person's ended and refused jobs from the days of a host, and
// returns how many lines that were. It overwrites them with spaces, which readers
// ignore: jobs that end meanwhile append to the same file, and a reader that continues
// at an offset must find the same lines behind it.
func Forget(dir job.AbsPath, host string, p Person) (lines int, err error) {
	err = eachDay(dir, host, func(file *os.File, text []byte) error {
		n, err := p.blank(file, text)
		lines += n
		return err
	})
	return lines, err
}

// blank overwrites the person's lines. It overwrites malformed ones too, of which
// nothing is known, but not the last line while it is being written.
func (p Person) blank(file *os.File, text []byte) (lines int, err error) {
	mine := map[job.ID]bool{}
	offset := int64(0)
	for line := range bytes.Lines(text) {
		at := offset
		offset += int64(len(line))
		body, whole := bytes.CutSuffix(line, []byte("\n"))
		if !whole || len(bytes.TrimSpace(body)) == 0 || !p.has(body, mine) {
			continue
		}
		if _, err := file.WriteAt(bytes.Repeat([]byte(" "), len(body)), at); err != nil {
			return lines, fmt.Errorf("cannot write %s: %w", file.Name(), err)
		}
		lines++
	}
	return lines, nil
}

// has reports whether a line is of the person, or malformed. mine has the jobs whose last
// Granted event was the person's.
func (p Person) has(line []byte, mine map[job.ID]bool) bool {
	var e Event
	if json.Unmarshal(line, &e) != nil || e.Name == "" {
		return true
	}
	c := e.Context
	switch e.Name {
	case Granted:
		mine[c.Job] = c.Account == p.Account
	case Refused:
		return c.Account == p.Account || p.Logins[c.Login]
	}
	return mine[c.Job]
}

// eachDay opens each day of a host for changes in place. This process must be the account
// that has the journal.
func eachDay(dir job.AbsPath, host string, do func(file *os.File, text []byte) error) error {
	days, err := Days(dir, host)
	if err != nil {
		return err
	}
	for _, day := range days {
		if err := changeDay(dir, host, day, do); err != nil {
			return err
		}
	}
	return nil
}

func changeDay(dir job.AbsPath, host, day string, do func(file *os.File, text []byte) error) error {
	text, read, err := read(dir, LongestDay, host, dayDir, day)
	if err != nil {
		return err
	}
	defer read.Close()
	// The file that was judged, again for writing and without O_APPEND (proc_pid_fd(5)).
	fd, err := eintr.Openat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", read.Fd()), unix.O_RDWR)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", read.Name(), err)
	}
	file := os.NewFile(uintptr(fd), read.Name())
	defer file.Close()
	return do(file, text)
}
