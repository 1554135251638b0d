// Package admin implements the commands of jacamar-admin about jobs: which jobs run,
// for which users, and how they ended. It only has the rights of its caller.
package admin

import (
	"context"
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

// Journals are directories with journals, of this host or of several.
type Journals []job.AbsPath

// Filter selects jobs. A zero field selects all.
type Filter struct {
	Account string
	Project string        // the path of a project, or of a group with all below it
	State   string        // of live jobs
	Since   time.Duration // how long ago the last event of an ended job may be
}

// errNoJournal reports that a journal does not exist.
var errNoJournal = errors.New("there is no journal")

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

// each calls do for each host of each journal.
func (js Journals) each(do func(dir job.AbsPath, host string) error) error {
	for _, dir := range js {
		hosts, err := hostsOf(dir)
		if err != nil {
			return err
		}
		for _, host := range hosts {
			if err := do(dir, host); err != nil {
				return err
			}
		}
	}
	return nil
}

// input reads the input of a snapshot: of live jobs, and of those of a period.
func (js Journals) input(f Filter, now time.Time) (status.Input, error) {
	in, err := js.live(now)
	if err != nil {
		return in, err
	}
	in.Unread, err = js.eachPast(now.Add(-f.Since), in.Past.Add)
	return in, err
}

// live reads the input of a snapshot without the jobs that ended.
func (js Journals) live(now time.Time) (status.Input, error) {
	in := status.Input{Now: now, Gone: remembered(proctree.Process.Gone)}
	err := js.each(func(dir job.AbsPath, host string) error {
		live, err := jobsNow(dir, host)
		in.Live, in.Hosts = append(in.Live, live...), append(in.Hosts, host)
		return err
	})
	for _, dir := range js {
		if m, ok, _ := journal.GetMark(dir, journal.Drain); ok && m.InForce(now) {
			in.Drain = m.Message
		}
	}
	slices.Sort(in.Hosts)
	in.Hosts = slices.Compact(in.Hosts)
	return in, err
}

// jobsNow reads the jobs of a host that live or wait for a place. Those that wait come
// first: one that is admitted meanwhile is found as live, and one that ends as past.
func jobsNow(dir job.AbsPath, host string) ([]journal.Record, error) {
	waiting, err := journal.WaitingJobs(dir, host)
	if err != nil {
		return nil, err
	}
	live, err := journal.LiveJobs(dir, host)
	isLive := func(w journal.Record) bool {
		return slices.ContainsFunc(live, func(l journal.Record) bool { return l.Key == w.Key })
	}
	return append(live, slices.DeleteFunc(waiting, isLive)...), err
}

// hostsOf are the hosts of a journal; a missing journal is errNoJournal.
func hostsOf(dir job.AbsPath) ([]string, error) {
	hosts, err := journal.Hosts(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: no job has run yet, or auth.journal is off or elsewhere (--journal)", errNoJournal, dir)
	}
	return hosts, err
}

// remembered returns a function that calls f once for each process: all jobs of a runner
// have the same owner.
func remembered(f func(proctree.Process) bool) func(proctree.Process) bool {
	known := map[proctree.Process]bool{}
	return func(p proctree.Process) bool {
		if _, ok := known[p]; !ok {
			known[p] = f(p)
		}
		return known[p]
	}
}

// eachPast calls visit for each record that has an event after the given time. unread is why
// files of those days are left out.
func (js Journals) eachPast(since time.Time, visit func(journal.Record)) (unread, err error) {
	first := since.UTC().Format(time.DateOnly)
	err = js.each(func(dir job.AbsPath, host string) error {
		names, err := journal.Days(dir, host)
		for _, name := range names {
			if name < first {
				continue
			}
			unread = errors.Join(unread, missing(journal.EachRecord(dir, host, name, func(r journal.Record) {
				if !r.Last().Before(since) {
					visit(r)
				}
			})))
		}
		return err
	})
	return unread, err
}

// pastRecords are the records of a period that accepts accepts, with all their events.
func (js Journals) pastRecords(since time.Time, accepts func(journal.Record) bool) (all []journal.Record, unread, err error) {
	unread, err = js.eachPast(since, func(r journal.Record) {
		if accepts(r) {
			all = append(all, r)
		}
	})
	return journal.WithoutDoubles(all), unread, err
}

// missing is the error for a file that is left out of what is printed; nil for one that was
// removed meanwhile, being old.
func missing(err error) error {
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("the jobs of a file are missing here: %w", err)
}

// matches reports whether a filter selects a job.
func (f Filter) matches(j status.Job) bool {
	return (f.State == "" || string(j.State) == f.State) && f.matchesWho(j.Account, j.Project)
}

// matchesWho reports whether a filter selects the jobs of an account in a project.
func (f Filter) matchesWho(account, project string) bool {
	return (f.Account == "" || account == f.Account) && (f.Project == "" || project == f.Project || strings.HasPrefix(project, f.Project+"/"))
}

func (f Filter) apply(jobs []status.Job) []status.Job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j status.Job) bool { return !f.matches(j) })
}

// poll calls look in each period until it is done, or ctx ends.
func poll(ctx context.Context, period time.Duration, look func() (done bool, err error)) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		if done, err := look(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
