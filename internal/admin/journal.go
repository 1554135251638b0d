// Package admin carries out the commands of jacamar-admin: what runs, for whom, and
// how it ended. It has the rights of the person who calls it and none of its own.
package admin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

// Journals are the directories that hold journals, of this host or of several.
type Journals []job.AbsPath

// Filter chooses jobs. A zero field chooses all.
type Filter struct {
	Account, Project string
	State            string
	Since            time.Duration
}

// ErrNoJournal reports that there is nothing to read.
var ErrNoJournal = errors.New("there is no journal")

// ParseJournals reads the directories of a command line.
func ParseJournals(dirs []string) (Journals, error) {
	var list Journals
	for _, d := range dirs {
		full, err := filepath.Abs(d)
		if err != nil {
			return nil, err
		}
		p, err := job.ParseAbsPath(full)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// input reads what a snapshot is made from.
func (js Journals) input(f Filter, now time.Time) (status.Input, error) {
	in := status.Input{Now: now, Gone: proctree.Process.Gone}
	for _, dir := range js {
		hosts, err := journal.Hosts(dir)
		if errors.Is(err, os.ErrNotExist) {
			return in, fmt.Errorf("%w in %s: no job has run yet, or auth.journal is off or elsewhere (--journal)", ErrNoJournal, dir)
		}
		if err != nil {
			return in, err
		}
		for _, host := range hosts {
			live, err := journal.Lives(dir, host)
			if err != nil {
				return in, err
			}
			past, err := days(dir, host, now.Add(-f.Since))
			if err != nil {
				return in, err
			}
			in.Live, in.Past = append(in.Live, live...), append(in.Past, past...)
		}
		in.Hosts = append(in.Hosts, hosts...)
	}
	slices.Sort(in.Hosts)
	in.Hosts = slices.Compact(in.Hosts)
	return in, nil
}

// days reads the records of a host that have an event after the given time.
func days(dir job.AbsPath, host string, since time.Time) ([]journal.Record, error) {
	names, err := journal.Days(dir, host)
	if err != nil {
		return nil, err
	}
	first := since.UTC().Format(time.DateOnly)
	var records []journal.Record
	for _, name := range names {
		if name < first {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir.String(), host, "days", name))
		if err != nil {
			return nil, fmt.Errorf("cannot read the journal: %w", err)
		}
		for _, r := range journal.Day(host, text) {
			if !r.Last().Before(since) {
				records = append(records, r)
			}
		}
	}
	return records, nil
}

// accepts reports whether a filter chooses a job.
func (f Filter) accepts(j status.Job) bool {
	return (f.Account == "" || j.Account == f.Account) && (f.State == "" || string(j.State) == f.State) &&
		(f.Project == "" || j.Project == f.Project || strings.HasPrefix(j.Project, f.Project+"/"))
}

func (f Filter) choose(jobs []status.Job) []status.Job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j status.Job) bool { return !f.accepts(j) })
}
