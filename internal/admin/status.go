package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"jacamar-ci/internal/admin/status"
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
	err = write(file)
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
