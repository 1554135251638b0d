package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
)

// Record is all that the journal has of one job.
type Record struct {
	Host   string
	Key    Key // zero for a refusal
	Events []Event
	// Running reports that a stage of a live job runs now.
	Running bool
	// Live reports that the job has a live file.
	Live bool
}

// Find returns the last event of a name.
func (r Record) Find(name Name) (Event, bool) {
	for _, e := range slices.Backward(r.Events) {
		if e.Name == name {
			return e, true
		}
	}
	return Event{}, false
}

// Last returns the time of the newest event.
func (r Record) Last() time.Time {
	var last float64
	for _, e := range r.Events {
		last = max(last, e.Time)
	}
	return time.UnixMilli(int64(last * 1000))
}

// Hosts returns the names of all hosts that have a part in the journal.
func Hosts(dir job.AbsPath) ([]string, error) {
	entries, err := os.ReadDir(dir.String())
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	var hosts []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != markDir && validHost(e.Name()) {
			hosts = append(hosts, e.Name())
		}
	}
	return hosts, nil
}

// Lives returns the live jobs of a host. What is no file of a journal is passed
// over: it can only be the work of the journal's own account.
func Lives(dir job.AbsPath, host string) ([]Record, error) {
	parent := filepath.Join(dir.String(), host, liveDir)
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	var records []Record
	for _, entry := range entries {
		k, err := ParseKey(entry.Name())
		if err != nil {
			continue
		}
		r, err := readLive(filepath.Join(parent, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		r.Host, r.Key = host, k
		records = append(records, r)
	}
	return records, nil
}

func readLive(name string) (Record, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return Record{}, fmt.Errorf("cannot read the journal: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxLive))
	if err != nil {
		return Record{}, fmt.Errorf("cannot read the journal: %w", err)
	}
	return Record{Events: Parse(text), Running: locked(file), Live: true}, nil
}

// locked reports whether a stage holds the file. F_OFD_GETLK needs no right to
// write, and its answer does not depend on what /proc shows (fcntl(2)).
func locked(file *os.File) bool {
	wanted := unix.Flock_t{Type: unix.F_WRLCK, Start: 0, Len: 1}
	return unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &wanted) == nil && wanted.Type != unix.F_UNLCK
}

// Parse reads events. A line that is none is passed over: the last one may be half
// written, and a full disk leaves half lines in the middle.
func Parse(text []byte) []Event {
	var events []Event
	for line := range bytes.Lines(text) {
		var e Event
		if len(line) <= maxLine && bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &e) == nil && e.Name != "" {
			events = append(events, e)
		}
	}
	return events
}

// Day returns the ended jobs and the refusals of one file of a day, in the order of
// their first lines. Lines that stand there twice, since a cleanup was interrupted,
// count once.
func Day(host string, text []byte) []Record {
	var records []Record
	current := map[job.ID]int{} // the newest record of a job, by its place
	seen := map[string]bool{}
	for _, e := range Parse(text) {
		if e.Name == Refused {
			records = append(records, Record{Host: host, Events: []Event{e}})
			continue
		}
		stamp := fmt.Sprintf("%s %.3f %s %s", e.Context.Job, e.Time, e.Name, e.Context.Stage)
		if seen[stamp] {
			continue
		}
		seen[stamp] = true
		at, known := current[e.Context.Job]
		if !known || e.Name == Granted && records[at].over() {
			at = len(records)
			current[e.Context.Job] = at
			records = append(records, Record{Host: host})
		}
		records[at].Events = append(records[at].Events, e)
	}
	return records
}

// over reports whether the record has its last event: ids are used again where a
// host serves two GitLab servers.
func (r Record) over() bool {
	_, ended := r.Find(Ended)
	_, reaped := r.Find(Reaped)
	return ended || reaped
}

// Days returns the names of the day files of a host, the oldest first.
func Days(dir job.AbsPath, host string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir.String(), host, dayDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the journal: %w", err)
	}
	var days []string
	for _, e := range entries {
		if day, ok := strings.CutSuffix(e.Name(), ".jsonl"); ok && e.Type().IsRegular() {
			if _, err := time.Parse(time.DateOnly, day); err == nil {
				days = append(days, e.Name())
			}
		}
	}
	slices.Sort(days)
	return days, nil
}
