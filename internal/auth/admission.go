package auth

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

const (
	// ghostPeriod is how often a job that waits looks for ghosts among the live jobs.
	ghostPeriod = 10 * time.Second
	// noticePeriod is how often the log of a waiting job repeats that, where nothing changes.
	noticePeriod = 5 * time.Minute
)

func (d *authDriver) caps() journal.Caps {
	c := d.Site.Auth.Concurrency
	return journal.Caps{Account: c.PerAccount, Project: c.PerProject, Total: c.Total}
}

// admission is the wait of one job for a place.
type admission struct {
	d         *authDriver
	decision  policy.Decision
	candidate journal.Candidate
	nextGhost time.Time
	shown     journal.Full
	shownAt   time.Time
}

// admit opens the job's file in the journal once no cap is reached. It returns the
// refusal of a job that waits too long, is drained or was stopped. Where jobs cannot be
// counted, the job runs and the operator is warned.
func (d *authDriver) admit(ctx context.Context, decision policy.Decision) (refusal error) {
	a := &admission{d: d, decision: decision}
	defer func() { d.warnJournal(a.close(ctx)) }()
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	owner, _ := proctree.Find(os.Getppid())
	for {
		full, refusal, err := a.try(ctx)
		switch {
		case err != nil:
			d.warn(fmt.Errorf("cannot count the jobs that run: %w", err))
			return nil
		case refusal != nil || full == nil:
			return refusal
		case !time.Now().Before(d.tokenTime().Add(d.Site.Auth.Concurrency.Wait)):
			return crowdedOut(*full, d.Site.Auth.Concurrency.Wait)
		}
		a.show(*full)
		select {
		case <-ctx.Done():
			return failure.Systemf("the job was stopped while it waited")
		case <-time.After(holdPeriod):
		}
		if owner.Gone() {
			return failure.Privatef("the runner ended while the job waited")
		}
	}
}

// try counts once.
func (a *admission) try(ctx context.Context) (full *journal.Full, refusal, err error) {
	d := a.d
	err = d.inJournal(ctx, func(dir job.AbsPath) error {
		m, marked, err := d.marked(dir)
		if err != nil || marked != nil && !d.mayWait(m) {
			refusal = marked
			return err
		}
		j, host, err := hostJournal(dir)
		if err != nil {
			return err
		}
		c := &a.candidate
		c.Key, c.Caps, c.Ghosts, c.First = d.key(), d.caps(), a.ghosts(dir, host), d.firstEvents(host, a.decision)
		c.Held = append(c.First[:len(c.First):len(c.First)], journal.At(time.Now(), journal.Held, journal.Context{Rule: RuleConcurrency}))
		if d.live, full, err = j.Admit(c); d.live == nil {
			j.Close()
		}
		return err
	})
	return full, refusal, err
}

// ghosts looks for live jobs that nothing will end; nil for not now.
func (a *admission) ghosts(dir job.AbsPath, host string) func() map[journal.Key]bool {
	if time.Now().Before(a.nextGhost) {
		return nil
	}
	return func() map[journal.Key]bool {
		a.nextGhost = time.Now().Add(ghostPeriod)
		lives, err := journal.LiveJobs(dir, host)
		if err != nil {
			return nil
		}
		ghosts := map[journal.Key]bool{}
		for _, r := range lives {
			owner, known := r.Owner()
			ghosts[r.Key] = journal.StateOf(r, known && owner.Gone(), time.Now()) == journal.Ghost
		}
		return ghosts
	}
}

// show writes in the job's log why the job waits, when that has changed.
func (a *admission) show(full journal.Full) {
	if full == a.shown && time.Since(a.shownAt) < noticePeriod {
		return
	}
	a.shown, a.shownAt = full, time.Now()
	ahead := ""
	if full.Ahead > 0 {
		ahead = fmt.Sprintf(", and %d wait before this one", full.Ahead)
	}
	a.d.WarnUser(fmt.Errorf("this CI resource runs %s%s; waiting up to %v", limitText(full), ahead, a.d.Site.Auth.Concurrency.Wait))
}

func limitText(full journal.Full) string {
	switch full.Cap {
	case journal.PerAccount:
		return fmt.Sprintf("%d of your jobs at once", full.Limit)
	case journal.PerProject:
		return fmt.Sprintf("%d jobs of this project at once", full.Limit)
	}
	return fmt.Sprintf("%d jobs at once", full.Limit)
}

func crowdedOut(full journal.Full, wait time.Duration) error {
	return &denial{rule: RuleConcurrency, err: failure.Deniedf("auth.concurrency.%s is %d, and no place was free for %v", full.Cap, full.Limit, wait).
		WithPublic("this CI resource runs %s, and no place was free for %v", limitText(full), wait).WithHint("retry the job when others have ended")}
}

// close removes the file of the wait.
func (a *admission) close(ctx context.Context) error {
	if !a.candidate.Waits() {
		return nil
	}
	return a.d.inJournal(ctx, func(dir job.AbsPath) error {
		j, _, err := hostJournal(dir)
		if err != nil {
			return err
		}
		defer j.Close()
		return j.Withdraw(&a.candidate)
	})
}
