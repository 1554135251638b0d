package ipc

import (
	"fmt"

	"jacamar-ci/internal/job"
)

// Note is what jacamar reports of its stage while it runs; one of the fields is set.
// The user's side writes it: it is shown to people, and nothing is decided by it.
type Note struct {
	Batch *BatchNote
	Disk  *DiskNote
}

// Phase is the phase of a batch job.
type Phase string

// The phases.
const (
	Submitted Phase = "submitted"
	Pending   Phase = "pending"
	Started   Phase = "running"
	Ended     Phase = "ended"
)

// BatchNote is the state of the stage's batch job.
type BatchNote struct {
	System string `json:"system"` // the batch system's name
	ID     string `json:"id"`
	Phase  Phase  `json:"phase"`
	Reason string `json:"reason,omitempty"` // why it is pending
	Node   string `json:"node,omitempty"`
	// Waited is the time from the submission to the start, in seconds.
	Waited float64 `json:"waited,omitempty"`
	// CPU in seconds, and Peak, the largest resident set in bytes, are of an ended job;
	// 0 where they are unknown.
	CPU  float64 `json:"cpu,omitempty"`
	Peak int64   `json:"peak,omitempty"`
}

// DiskNote is the size of the build directory.
type DiskNote struct {
	Bytes int64 `json:"bytes"`
	Files int64 `json:"files"`
	// Partial means that there is more: the time for measuring was over.
	Partial bool `json:"partial,omitempty"`
}

const (
	// maxNotes bounds the notes of one stage.
	maxNotes = 64
	// noteText bounds each text of a note in bytes, so that it fits in its frame.
	noteText = 256
	// maxFigure bounds times in seconds: a century.
	maxFigure = 100 * 366 * 24 * 3600
)

func decodeNote(b []byte) (n Note, err error) {
	if err := decode(b, &n); err != nil {
		return n, fmt.Errorf("cannot read a note of jacamar: %w", err)
	}
	if (n.Batch == nil) == (n.Disk == nil) || n.Batch != nil && !n.Batch.valid() || n.Disk != nil && (n.Disk.Bytes < 0 || n.Disk.Files < 0) {
		return n, fmt.Errorf("cannot read a note of jacamar: %q", job.Clip(string(b)))
	}
	return n.printable(), nil
}

func (b BatchNote) valid() bool {
	switch b.Phase {
	case Submitted, Pending, Started, Ended:
	default:
		return false
	}
	return b.ID != "" && b.Waited >= 0 && b.Waited <= maxFigure && b.CPU >= 0 && b.CPU <= maxFigure*1024 && b.Peak >= 0
}

// printable returns the note with texts that are short and printable.
func (n Note) printable() Note {
	if n.Batch != nil {
		b := *n.Batch
		for _, text := range []*string{&b.System, &b.ID, &b.Reason, &b.Node} {
			*text = job.Shorten(job.Printable(*text), noteText)
		}
		n.Batch = &b
	}
	return n
}

// Note sends a note. It omits notes beyond the limit of a stage.
func (j *ChildConn) Note(n Note) error {
	j.sending.Lock()
	defer j.sending.Unlock()
	if j.notes == maxNotes {
		return nil
	}
	j.notes++
	return j.write(noteFrame, "a note", n.printable())
}
