package admin

import (
	"cmp"
	"encoding/json"
	"errors"
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
		if err := replace(o.JSON, func(w io.Writer) error { return json.NewEncoder(w).Encode(s) }); err != nil {
			return s, err
		}
	}
	if o.Metrics == "" {
		return s, nil
	}
	return s, o.metrics(s)
}

// metrics counts what was not counted before. Another run waits meanwhile: its counters
// would be older than those that it replaces.
func (o StatusOptions) metrics(s status.Snapshot) error {
	var uncounted, failed error
	err := replace(o.Counters, func(w io.Writer) error {
		var c status.Counters
		if c, uncounted, failed = o.count(); failed != nil {
			return failed
		}
		if failed = replace(o.Metrics, func(w io.Writer) error { return s.Metrics(w, c) }); failed != nil {
			return failed
		}
		return json.NewEncoder(w).Encode(c)
	})
	return errors.Join(cmp.Or(failed, err), uncounted)
}

// count counts the jobs of all hosts. uncounted is why some are left out.
func (o StatusOptions) count() (c status.Counters, uncounted, err error) {
	if c, err = readCounters(o.Counters); err != nil {
		return c, nil, err
	}
	err = o.Journals.each(func(dir job.AbsPath, host string) error {
		uncounted = errors.Join(uncounted, c.Count(dir, host))
		return nil
	})
	return c, uncounted, err
}

// readCounters reads what earlier runs have counted. A file that a power failure left
// incomplete counts as missing: a counter that starts again is a reset for Prometheus,
// and the days that are left are counted again.
func readCounters(name string) (c status.Counters, err error) {
	text, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return c, fmt.Errorf("cannot read the counters: %w", err)
	}
	if json.Unmarshal(text, &c) != nil {
		return status.Counters{}, nil
	}
	return c, nil
}

// replace replaces a file, so that a reader never sees an incomplete one.
func replace(name string, write func(io.Writer) error) error {
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := journal.Replace(int(dir.Fd()), filepath.Base(name), 0o644, write); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// The exit statuses of a monitoring plugin, as those of check.
const (
	allWell  = 0
	warning  = 1
	critical = 2
	// Unknown means that the journal could not be read.
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
	for _, state := range journal.States() {
		rows = append(rows, []string{string(state), fmt.Sprint(states[string(state)])})
	}
	if err := table(w, []string{"STATE", "JOBS"}, rows); err != nil {
		return err
	}
	_, err := Attention(w, s)
	return err
}
