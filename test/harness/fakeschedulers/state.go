package fakeschedulers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
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

// Jobs returns all jobs, the oldest first.
func (s Store) Jobs() ([]Job, error) {
	files, err := filepath.Glob(s.path("jobs", "*.json"))
	if err != nil {
		return nil, err
	}
	var jobs []Job
	for _, f := range files {
		id, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(f), ".json"))
		if j, err := s.Job(id); err == nil {
			jobs = append(jobs, j)
		}
	}
	sort.Slice(jobs, func(a, b int) bool { return jobs[a].ID < jobs[b].ID })
	return jobs, nil
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
		jobs, err := s.Jobs()
		if err != nil {
			return err
		}
		j.ID = 1
		if len(jobs) > 0 {
			j.ID = jobs[len(jobs)-1].ID + 1
		}
		if err := os.WriteFile(s.script(j.ID), script, 0o700); err != nil {
			return err
		}
		return s.write(j)
	})
	return j.ID, err
}

func (j Job) over() bool { return !j.End.IsZero() }

// script is the path of the copy of a job's script.
func (s Store) script(id int) string { return s.path("jobs", fmt.Sprintf("%d.sh", id)) }
