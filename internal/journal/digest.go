package journal

import (
	"fmt"
	"io"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// digestDir has a file for each day with one accounting line a job, which is kept for
// longer than the day and has no names.
const digestDir = "digest"

// Undigested returns the names of the days of a host before today (YYYY-MM-DD, UTC) that
// have no digest.
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
	parent, err := subdirectory(int(j.host.Fd()), digestDir, path.Join(j.path, digestDir))
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
