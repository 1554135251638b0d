package auth

import (
	"fmt"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

// measureLimit is how long the build directory is measured in cleanup.
const measureLimit = 200 * time.Millisecond

// measure is how long this stage's jacamar measures the build directory.
func (d *authDriver) measure() time.Duration {
	if d.live == nil || d.Call.Stage != job.Cleanup {
		return 0
	}
	return measureLimit
}

// setUsed takes the usage of the stage's processes.
func (d *authDriver) setUsed(u proctree.Usage) { d.used = u }

// note adds to the journal what jacamar reports. Administrators read it; nothing is
// decided by it.
func (d *authDriver) note(n ipc.Note) {
	if d.live == nil {
		return
	}
	if err := d.live.Append(noteEvent(n, time.Now())); err != nil {
		d.noteFailed = fmt.Errorf("cannot write the journal: %w", err)
	}
}

// noteEvent is the event of a note.
func noteEvent(n ipc.Note, now time.Time) journal.Event {
	if b := n.Batch; b != nil {
		return journal.At(now, journal.Batch, journal.Context{
			System: b.System, BatchID: b.ID, Phase: string(b.Phase), Reason: b.Reason, Node: b.Node, Seconds: b.Waited, CPU: b.CPU, Peak: b.Peak,
		})
	}
	return journal.At(now, journal.Disk, journal.Context{Bytes: n.Disk.Bytes, Files: n.Disk.Files, Partial: n.Disk.Partial})
}
