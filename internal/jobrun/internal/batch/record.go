package batch

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/proctree"
)

// record is what a later process needs to end a submission of a dead one. It is
// written before the submission, again with the id, and removed when the job is
// known to be over.
type record struct {
	Name string `json:"name"`
	// Scheduler is the batch system that was asked: its ids mean nothing to
	// another, or worse.
	Scheduler string           `json:"scheduler"`
	ID        scheduler.ID     `json:"id,omitempty"`
	Host      string           `json:"host"`
	Process   proctree.Process `json:"process"`
	Time      time.Time        `json:"time"`
}

// write replaces the record in one step, so that no reader sees half of it.
func (d directory) write(r record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.path(recordFile)+".new", text, 0o600); err != nil {
		return d.unusable(err)
	}
	if err := os.Rename(d.path(recordFile)+".new", d.path(recordFile)); err != nil {
		return d.unusable(err)
	}
	return nil
}

// leftover is a recorded submission that nobody has seen the end of.
type leftover struct {
	dir directory
	record
}

// leftovers lists the submissions of which a record is left, below each of the
// CI jobs' directories that fit the pattern.
func leftovers(pattern string) []leftover {
	files, _ := filepath.Glob(filepath.Join(pattern, "*", recordFile))
	var found []leftover
	for _, f := range files {
		l := leftover{dir: directory(filepath.Dir(f))}
		text, err := readMark(f)
		if err != nil || json.Unmarshal([]byte(text), &l.record) != nil || l.Name != filepath.Base(string(l.dir)) {
			continue
		}
		found = append(found, l)
	}
	return found
}

// Unsettled reports whether a CI job's directory has a record of a submission that
// nobody has seen the end of.
func Unsettled(scripts job.AbsPath) bool { return len(leftovers(scripts.String())) > 0 }
