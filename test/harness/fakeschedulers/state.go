package fakeschedulers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Job is one job in the fake's state.
type Job struct {
	ID     int      `json:"id"`
	Name   string   `json:"name"`
	UID    int      `json:"uid"`
	GID    int      `json:"gid"`
	Output string   `json:"output"`
	Dir    string   `json:"dir"`
	Env    []string `json:"env"`

	State     string    `json:"state"`
	Reason    string    `json:"reason"`
	Node      string    `json:"node"`
	Start     time.Time `json:"start,omitzero"`
	End       time.Time `json:"end,omitzero"`
	Code      int       `json:"code"`
	Signal    int       `json:"signal"`
	By        int       `json:"by"` // who cancelled it
	Limit     float64   `json:"limit"`
	PID       int       `json:"pid"` // of the script; it leads a session
	Cancelled bool      `json:"cancelled"`
	// Spool keeps output on the node until the end, when it replaces the file.
	Spool bool `json:"spool"`
}

// Store is the directory with everything of one fake cluster.
type Store struct {
	Dir  string
	kind string
}

func (s Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// locked runs f while no other process changes the state.
func (s Store) locked(f func() error) error {
	lock, err := os.OpenFile(s.path("lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return f()
}

// ids are the numbers of all jobs, in ascending order.
func (s Store) ids() (ids []int) {
	entries, _ := os.ReadDir(s.path("jobs"))
	for _, e := range entries {
		if number, found := strings.CutSuffix(e.Name(), ".json"); found {
			id, _ := strconv.Atoi(number)
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Jobs returns all jobs, the oldest first.
func (s Store) Jobs() (jobs []Job, err error) {
	for _, id := range s.ids() {
		if j, err := s.Job(id); err == nil {
			jobs = append(jobs, j)
		}
	}
	return jobs, nil
}

// only returns the job with this number, all jobs for "".
func (s Store) only(number string) ([]Job, error) {
	if number == "" {
		return s.Jobs()
	}
	id, _ := strconv.Atoi(number)
	if j, err := s.Job(id); err == nil {
		return []Job{j}, nil
	}
	return nil, nil
}

// Job returns one job.
func (s Store) Job(id int) (j Job, err error) {
	text, err := os.ReadFile(s.path("jobs", strconv.Itoa(id)+".json"))
	if err != nil {
		return j, err
	}
	return j, json.Unmarshal(text, &j)
}

func (s Store) write(j Job) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	file := s.path("jobs", strconv.Itoa(j.ID)+".json")
	if err := writeForAll(file+".new", text); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// writeForAll writes a file that each account can change, whatever the umask is.
func writeForAll(name string, text []byte) error {
	if err := os.WriteFile(name, text, 0o666); err != nil {
		return err
	}
	return os.Chmod(name, 0o666)
}

// Change alters one job.
func (s Store) Change(id int, f func(*Job)) error {
	return s.locked(func() error {
		j, err := s.Job(id)
		if err != nil {
			return err
		}
		f(&j)
		return s.write(j)
	})
}

// add assigns a new job its number and stores its script.
func (s Store) add(j Job, script []byte) (int, error) {
	err := s.locked(func() error {
		j.ID = 1
		if ids := s.ids(); len(ids) > 0 {
			j.ID = ids[len(ids)-1] + 1
		}
		if err := os.WriteFile(s.script(j.ID), script, 0o700); err != nil {
			return err
		}
		return s.write(j)
	})
	return j.ID, err
}

// callsFile has a line for each call of a program, where CountCalls has made it.
const callsFile = "calls"

// CountCalls starts to count.
func (s Store) CountCalls() error { return writeForAll(s.path(callsFile), nil) }

// Calls returns how often programs of these names were called.
func (s Store) Calls(names ...string) (n int, err error) {
	text, err := os.ReadFile(s.path(callsFile))
	for line := range strings.Lines(string(text)) {
		if slices.Contains(names, strings.TrimSuffix(line, "\n")) {
			n++
		}
	}
	return n, err
}

func (s Store) count(name string) {
	if file, err := os.OpenFile(s.path(callsFile), os.O_WRONLY|os.O_APPEND, 0); err == nil {
		fmt.Fprintln(file, name)
		file.Close()
	}
}

func (j Job) over() bool { return !j.End.IsZero() }

// script is the path of the copy of a job's script.
func (s Store) script(id int) string { return s.path("jobs", fmt.Sprintf("%d.sh", id)) }
