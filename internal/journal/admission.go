package journal

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/lockwait"
)

// Caps bound the live jobs of a host; 0 means no bound.
type Caps struct{ Account, Project, Total int }

// Set reports whether there is a bound.
func (c Caps) Set() bool { return c != Caps{} }

// CapName names a cap.
type CapName string

// The caps.
const (
	PerAccount CapName = "per_account"
	PerProject CapName = "per_project"
	Total      CapName = "total"
)

// Full is why a job is not admitted.
type Full struct {
	Cap   CapName
	Limit int
	// Ahead is how many jobs wait for the same and were there earlier.
	Ahead int
}

const (
	waitDir = "waiting"
	// admissionFile is locked while jobs are counted.
	admissionFile = "admission"
	// admissionLimit is how long others may count; they need milliseconds.
	admissionLimit, admissionPause = 5 * time.Second, 50 * time.Millisecond
)

// Candidate is a job that is to be admitted.
type Candidate struct {
	Key  Key
	Caps Caps
	// Ghosts returns the live jobs that do not count. It is called only when a cap is
	// reached; nil looks for none.
	Ghosts func() map[Key]bool
	// First are the first events of the job's file, Held those of a job that waits.
	First, Held []Event

	// waiter is the file of a job that waits, for readers and for those that count. Its
	// lock ends with this process.
	waiter *os.File
}

// Admit creates the file of a job if no cap is reached, by the live jobs and by those
// that wait and have a lower number. Otherwise it returns why not, and the job is listed
// as waiting until the candidate is admitted or withdrawn.
func (j *Journal) Admit(c *Candidate) (*Live, *Full, error) {
	lock, err := j.lockAdmission()
	if err != nil {
		return nil, nil, err
	}
	defer lock.Close()
	live, err := j.keysIn(liveDir)
	if err != nil {
		return nil, nil, err
	}
	waiting, err := j.waiting(c.Key)
	if err != nil {
		return nil, nil, err
	}
	full := c.Caps.full(c.Key, live, waiting, nil)
	if full != nil && c.Ghosts != nil {
		full = c.Caps.full(c.Key, live, waiting, c.Ghosts())
	}
	if full != nil {
		return nil, full, j.wait(c)
	}
	l, err := j.Create(c.Key, c.First...)
	return l, nil, errors.Join(err, j.Withdraw(c))
}

// wait creates the file of a job that waits, once.
func (j *Journal) wait(c *Candidate) error {
	if c.waiter != nil {
		return nil
	}
	l, err := j.open(waitDir, c.Key, unix.O_CREAT|unix.O_TRUNC, c.Held)
	if err != nil {
		return err
	}
	c.waiter = l.file
	return nil
}

// Waits reports whether the job is listed as waiting.
func (c *Candidate) Waits() bool { return c.waiter != nil }

// Withdraw ends the wait of a job. The file of a process that died is removed by the next
// one that counts.
func (j *Journal) Withdraw(c *Candidate) error {
	if c.waiter == nil {
		return nil
	}
	defer func() { c.waiter.Close(); c.waiter = nil }()
	return j.remove(waitDir, c.Key)
}

// full returns the first cap that is reached, nil for none. Jobs that wait and have a lower
// number take their places first, in the order of their numbers. One that has no place by
// another cap takes none: the jobs of one account that wait for each other keep out no
// other account.
func (c Caps) full(k Key, live, waiting []Key, ghosts map[Key]bool) *Full {
	taken := slices.DeleteFunc(slices.Clone(live), func(o Key) bool { return o == k || ghosts[o] })
	earlier := slices.DeleteFunc(slices.Clone(waiting), func(o Key) bool { return o.Job >= k.Job })
	slices.SortFunc(earlier, func(a, b Key) int { return cmp.Compare(a.Job, b.Job) })
	for _, o := range earlier {
		if c.reached(o, taken) == nil {
			taken = append(taken, o)
		}
	}
	full := c.reached(k, taken)
	if full != nil {
		full.Ahead = count(earlier, k, full.Cap)
	}
	return full
}

// reached returns the first cap that keeps a job from one more place, nil for none.
func (c Caps) reached(k Key, taken []Key) *Full {
	for _, f := range []Full{{Cap: PerAccount, Limit: c.Account}, {Cap: PerProject, Limit: c.Project}, {Cap: Total, Limit: c.Total}} {
		if f.Limit > 0 && count(taken, k, f.Cap) >= f.Limit {
			return &f
		}
	}
	return nil
}

// count counts the jobs that a cap counts together with a job.
func count(jobs []Key, k Key, by CapName) (n int) {
	for _, o := range jobs {
		if by == Total || by == PerAccount && o.UID == k.UID || by == PerProject && o.Project == k.Project {
			n++
		}
	}
	return n
}

// lockAdmission keeps other processes from counting until the result is closed.
func (j *Journal) lockAdmission() (*os.File, error) {
	file, err := j.file("", admissionFile, unix.O_CREAT)
	if err != nil {
		return nil, err
	}
	err = lockwait.Poll(time.Now().Add(admissionLimit), admissionPause, func() error { return lock(file, unix.F_WRLCK, unix.EAGAIN) })
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("cannot lock %s: other processes count for %v", file.Name(), admissionLimit)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// keysIn lists the jobs that have a file in one of the directories.
func (j *Journal) keysIn(dir string) ([]Key, error) {
	fd, err := j.subdirectory(dir)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path.Join(j.path, dir))
	defer file.Close()
	names, err := file.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file.Name(), err)
	}
	var keys []Key
	for _, name := range names {
		if k, err := ParseKey(name); err == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// CountLive returns how many jobs of the host are live.
func (j *Journal) CountLive() (int, error) {
	keys, err := j.keysIn(liveDir)
	return len(keys), err
}

// waiting lists the other jobs whose config stage waits, and removes the files of those
// that were killed.
func (j *Journal) waiting(own Key) (keys []Key, err error) {
	all, err := j.keysIn(waitDir)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if k == own {
			continue
		}
		file, err := j.file(waitDir, k.String(), 0)
		if err != nil {
			continue // it has ended meanwhile, or was put there
		}
		if isLocked(file) {
			keys = append(keys, k)
		} else {
			_ = j.remove(waitDir, k)
		}
		file.Close()
	}
	return keys, nil
}

func (j *Journal) remove(dir string, k Key) error {
	parent, err := j.subdirectory(dir)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	return unix.Unlinkat(parent, k.String(), 0)
}

// WaitingJobs returns the jobs of a host that wait to be admitted.
func WaitingJobs(dir job.AbsPath, host string) ([]Record, error) {
	records, err := jobsIn(dir, host, waitDir)
	var waiting []Record
	for _, r := range records {
		if r.Running {
			r.Waiting = true
			waiting = append(waiting, r)
		}
	}
	return waiting, err
}
