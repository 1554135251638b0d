package workspace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/procfs"
	"jacamar-ci/internal/proctree"
)

// reservation is the use of a build directory by a job. No process of a job runs
// between its stages, so no process can hold a lock for the whole job; instead a
// reservation ends when the job's cleanup releases it, when its owner is dead, or when
// the job's time is over.
type reservation struct {
	Runner string           `json:"runner"`
	Job    job.ID           `json:"job"` // 0 for a free slot
	Owner  proctree.Process `json:"owner"`
	Host   hostID           `json:"place"`
	Until  time.Time        `json:"until"`
}

// reservationSlack is how much longer than the job's timeout a reservation lasts: for
// the stages around the script, and for clocks that differ between hosts.
const reservationSlack = time.Hour

// newReservation is a reservation for a job; its owner is the runner's process.
func newReservation(j ipc.Job, here hostID, now time.Time) reservation {
	until := now.Add(time.Duration(j.Timeout)*time.Second + reservationSlack).Truncate(time.Second)
	return reservation{Runner: j.Runner, Job: j.ID, Owner: j.Owner, Host: here, Until: until}
}

func (r reservation) free() bool { return r.Job == 0 }

func (r reservation) belongsTo(j ipc.Job) bool { return r.Job == j.ID && r.Runner == j.Runner }

// expired reports whether other jobs need not respect the reservation.
func (r reservation) expired(known owners, now time.Time) bool {
	return now.After(r.Until) || known.gone(r.Host, r.Owner)
}

// reservationSize is the size of one record in the file of reservations, in bytes. Each
// is written at once and within one page.
const reservationSize = 512

// encode returns the record. That of a free slot is not empty, which distinguishes it
// from a slot that was never used.
func (r reservation) encode() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(text) >= reservationSize {
		return nil, fmt.Errorf("a reservation of %d bytes is too long", len(text))
	}
	return append(text, make([]byte, reservationSize-len(text))...), nil
}

// decodeReservation parses a record; used is false for a slot that was never used. A
// corrupt record means a free slot: only a job that takes or releases the slot writes
// it, and a job that died during the write does not use the directory.
func decodeReservation(record []byte) (r reservation, used bool) {
	text := bytes.TrimRight(record, "\x00")
	if len(text) == 0 {
		return reservation{}, false
	}
	if json.Unmarshal(text, &r) != nil {
		return reservation{}, true
	}
	return r, true
}

// chooseSlot returns the slot for a job: the one it has already, or the lowest that is
// available. all are the reservations of the slots that were ever used.
func chooseSlot(all []reservation, j ipc.Job, available func(slot int, r reservation) bool) (slot int, err error) {
	slot = len(all)
	for n, r := range all {
		switch {
		case r.belongsTo(j):
			return n, nil
		case slot == len(all) && available(n, r):
			slot = n
		}
	}
	if slot >= maxSlots {
		return 0, failure.Systemf("cannot find a free build directory among %d", maxSlots)
	}
	return slot, nil
}

// maxSlots bounds the file of reservations; no account has that many concurrent jobs.
const maxSlots = 1000

func slotName(n int) string { return fmt.Sprintf("%03d", n) }

// slotOf is the slot whose directory has that name.
func slotOf(name string) (n int, ok bool) {
	n, err := strconv.Atoi(name)
	return n, err == nil && slotName(n) == name
}

// hostID is the scope of a process number: another machine or another container may
// have another process with the same number.
type hostID struct {
	Host string `json:"host"`
	// Machine distinguishes machines of one name, by a hash of machine-id(5); "" where
	// there is none.
	Machine string `json:"machine,omitempty"`
	// PIDNamespace is the namespace that process numbers belong to (pid_namespaces(7)).
	PIDNamespace string `json:"pids"`
}

func currentHost() hostID {
	host, _ := os.Hostname()
	pids, _ := os.Readlink("/proc/self/ns/pid")
	return hostID{Host: host, Machine: machineHash(), PIDNamespace: pids}
}

// machineHash is an FNV-1a hash: machine-id(5) requests not to publish the id itself.
func machineHash() string {
	id, err := procfs.Read("/etc/machine-id")
	if err != nil || len(id) == 0 {
		return ""
	}
	sum := uint64(14695981039346656037)
	for _, b := range id {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return strconv.FormatUint(sum, 16)
}

func currentProcess() proctree.Process {
	p, _ := proctree.Find(os.Getpid())
	return p
}

// owners examines the owners of reservations, each once: the jobs of an account have few,
// often one runner, and a cleanup reads the reservations of all of them.
type owners struct {
	here  hostID
	ended map[owner]bool
}

type owner struct {
	at      hostID
	process proctree.Process
}

func newOwners(here hostID) owners { return owners{here, map[owner]bool{}} }

// gone reports whether the process on host at had certainly ended when it was examined.
func (o owners) gone(at hostID, p proctree.Process) bool {
	ended, known := o.ended[owner{at, p}]
	if !known {
		ended = o.here.processGone(at, p)
		o.ended[owner{at, p}] = ended
	}
	return ended
}

// processGone reports whether the process on host at has certainly ended. A process of
// another host may run; so may one of another boot, unless the machine certainly is the
// same.
func (h hostID) processGone(at hostID, p proctree.Process) bool {
	if at != h || p.PID == 0 {
		return false
	}
	if p.Boot != proctree.Boot() && h.Machine == "" {
		return false
	}
	return p.Gone()
}
