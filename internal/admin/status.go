package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// StatusOptions are those of `jacamar-admin status`.
type StatusOptions struct {
	Journals            Journals
	HTML, JSON, Metrics string // files to replace, "" for none
	Counters            string // the file with the counters of earlier runs
	Public              bool
	Since               time.Duration
}

// Status writes the requested files, each by a rename, and returns the snapshot.
func Status(o StatusOptions, now time.Time) (status.Snapshot, error) {
	in, err := o.Journals.input(Filter{Since: o.Since}, now)
	if err != nil {
		return status.Snapshot{}, err
	}
	s := status.NewSnapshot(in)
	if o.HTML != "" {
		if err := replace(o.HTML, func(w io.Writer) error { return s.Page(w, o.Public) }); err != nil {
			return s, err
		}
	}
	if o.JSON != "" {
		if err := replace(o.JSON, func(w io.Writer) error { return writeJSON(w, s) }); err != nil {
			return s, err
		}
	}
	if o.Metrics == "" {
		return s, nil
	}
	return s, o.metrics(s)
}

func (o StatusOptions) metrics(s status.Snapshot) error {
	var c status.Counters
	text, err := os.ReadFile(o.Counters)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("cannot read the counters: %w", err)
	}
	for _, dir := range o.Journals {
		hosts, err := journal.Hosts(dir)
		if err != nil {
			return err
		}
		for _, host := range hosts {
			if err := c.Count(dir, host); err != nil {
				return err
			}
		}
	}
	if err := replace(o.Counters, func(w io.Writer) error { return writeJSON(w, c) }); err != nil {
		return err
	}
	return replace(o.Metrics, func(w io.Writer) error { return s.Metrics(w, c) })
}

// replace writes a temporary file in the same directory and renames it, so that a
// reader never sees an incomplete file.
func replace(name string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(name), ".jacamar-*")
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(file, 64<<10) // a page is written in small pieces
	if err = write(out); err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = file.Chmod(0o644)
	}
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// The exit statuses of a monitoring plugin, as those of check.
const (
	allWell  = 0
	warning  = 1
	critical = 2
	// Unknown means that it could not look.
	Unknown = 3
)

// Attention prints what needs attention, each with what to do, and returns the exit
// status for monitoring: 2 where jobs are left behind or overdue.
func Attention(w io.Writer, s status.Snapshot) (int, error) {
	result := allWell
	for _, n := range s.Attention {
		result = max(result, warning)
		if n.ID == "ghost" || n.ID == "overdue" {
			result = critical
		}
		if _, err := fmt.Fprintf(w, "%s: %s\n  fix: %s\n", n.ID, job.Printable(n.What), job.Printable(n.Do)); err != nil {
			return Unknown, err
		}
	}
	_, err := fmt.Fprintf(w, "%d live jobs, %d things that need attention\n", len(s.Live), len(s.Attention))
	return result, err
}

// Summary prints the numbers of jobs by their state, and what needs attention.
func Summary(w io.Writer, s status.Snapshot) error {
	if s.Drain != "" {
		fmt.Fprintf(w, "Drained: %s\n", job.Printable(s.Drain))
	}
	states := map[string]int{}
	for _, j := range s.Live {
		states[string(j.State)]++
	}
	rows := [][]string{}
	for _, state := range []journal.State{journal.Waiting, journal.Running, journal.Between, journal.Quiet, journal.Overdue, journal.Ghost} {
		rows = append(rows, []string{string(state), fmt.Sprint(states[string(state)])})
	}
	if err := table(w, []string{"STATE", "JOBS"}, rows); err != nil {
		return err
	}
	_, err := Attention(w, s)
	return err
}
