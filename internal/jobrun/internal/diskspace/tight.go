package diskspace

import (
	"fmt"

	"jacamar-ci/internal/mounts"
)

// Tight tells in one line when the storage at path is full or nearly so: that of
// the file system, or of a quota that counts there. It is "" otherwise, and where
// the system tells no figures.
func Tight(path string) string {
	m := mounts.Of(path)
	for _, q := range quotasAt(m, path) {
		if line := tightLine(q.whose+" on "+m.Point, q.space); line != "" {
			return line
		}
	}
	s, err := spaceAt(path)
	if err != nil {
		return ""
	}
	return tightLine("the file system "+m.Point, s)
}

func tightLine(what string, s space) string {
	if words, full := s.full(); full {
		return fmt.Sprintf("%s is full: %s", what, words)
	}
	if words, tight := s.tight(); tight {
		return fmt.Sprintf("%s has little room left: %s in use", what, words)
	}
	return ""
}
