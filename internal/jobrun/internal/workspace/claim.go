package workspace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
)

// reservation says which job uses a build directory. Nothing of a job runs between its
// stages, so no process can hold a lock for all of it; instead a claim ends when
// the job's cleanup gives it up, when the process that owns it is dead, or when
// the job's time is over.
type reservation struct {
	Runner string           `json:"runner"`
	Job    job.ID           `json:"job"` // 0 for nobody's
	Owner  proctree.Process `json:"owner"`
	Place  place            `json:"place"`
	Until  time.Time        `json:"until"`
}

// spare is how much longer than its timeout a job may hold its claim: the
// stages around its script, and clocks that differ between hosts.
const spare = time.Hour

// newClaim is the claim of a job that the runner's process owns.
func newClaim(j ipc.Job, here place, now time.Time) reservation {
	until := now.Add(time.Duration(j.Timeout)*time.Second + spare).Truncate(time.Second)
	return reservation{Runner: j.Runner, Job: j.ID, Owner: j.Owner, Place: here, Until: until}
}

func (c reservation) free() bool { return c.Job == 0 }

func (c reservation) of(j ipc.Job) bool { return c.Job == j.ID && c.Runner == j.Runner }

// over reports whether the claim holds no longer for anybody but its own job.
func (c reservation) over(here place, now time.Time) bool {
	return now.After(c.Until) || here.gone(c.Place, c.Owner)
}

// recordSize is the room for one claim in the file of claims, in bytes. Each is
// written at once and within one page.
const recordSize = 512

// encode writes the claim as a record; one of nobody's is not empty, so that a
// slot which was never used can be told from one which is free.
func (c reservation) encode() ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if len(text) >= recordSize {
		return nil, fmt.Errorf("a claim of %d bytes is too long", len(text))
	}
	return append(text, make([]byte, recordSize-len(text))...), nil
}

// decodeClaim reads a record; used is false for a slot that never was. A record
// that is broken is nobody's: only a job that takes or gives up the slot writes
// it, and one that died in the middle of that has no directory to lose.
func decodeClaim(record []byte) (c reservation, used bool) {
	text := bytes.TrimRight(record, "\x00")
	if len(text) == 0 {
		return reservation{}, false
	}
	if json.Unmarshal(text, &c) != nil {
		return reservation{}, true
	}
	return c, true
}

// choose finds the slot for a job: the one it has already, or the lowest that may
// be taken. claims are those of the slots that were ever used.
func choose(claims []reservation, j ipc.Job, open func(slot int, c reservation) bool) (slot int, err error) {
	slot = len(claims)
	for n, c := range claims {
		switch {
		case c.of(j):
			return n, nil
		case slot == len(claims) && open(n, c):
			slot = n
		}
	}
	if slot >= maxSlots {
		return 0, failure.Systemf("cannot find a free build directory among %d", maxSlots)
	}
	return slot, nil
}

// maxSlots bounds the file of claims; no account has that many concurrent jobs.
const maxSlots = 1000

func slotName(n int) string { return fmt.Sprintf("%03d", n) }
