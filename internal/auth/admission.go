package auth

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

const (
	// lookPeriod is how often a job that waits looks whether it may go on.
	lookPeriod = 2 * time.Second
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
func (d *authDriver) admit(ctx context.Context, decision policy.Decision) error {
	a, limit := &admission{d: d, decision: decision}, d.Site.Auth.Concurrency.Wait
	defer func() { d.warnJournal(a.close(ctx)) }()
	return d.whileWaiting(ctx, func(ctx context.Context) (waits bool, refusal error) {
		full, refusal, err := a.try(ctx)
		switch {
		case err != nil:
			d.warn(fmt.Errorf("cannot count the jobs that run: %w", err))
			return false, nil
		case refusal != nil || full == nil:
			return false, refusal
		case !time.Now().Before(d.tokenTime().Add(limit)):
			return false, crowdedOut(*full, limit)
		}
		a.show(*full)
		return true, nil
	})
}

// hold waits for the end of a drain, and returns the refusal where it does not come in
// time.
func (d *authDriver) hold(ctx context.Context, m journal.Mark) error {
	d.WarnUser(fmt.Errorf("this CI resource takes no new jobs%s: %s; waiting", untilText(m), m.Message))
	return d.whileWaiting(ctx, func(ctx context.Context) (waits bool, refusal error) {
		err := d.inJournal(ctx, func(dir job.AbsPath) (err error) { m, refusal, err = d.marked(dir); return err })
		if err != nil {
			d.warn(fmt.Errorf("cannot read the journal: %w", err))
		}
		return refusal != nil && d.mayWait(m), refusal
	})
}

// whileWaiting calls look until the job no longer waits, and returns its refusal. It also
// ends when the runner has ended or stops the stage.
func (d *authDriver) whileWaiting(ctx context.Context, look func(context.Context) (waits bool, refusal error)) error {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	owner, err := d.Owner()
	if err != nil {
		return err
	}
	for {
		if waits, refusal := look(ctx); !waits {
			return refusal
		}
		select {
		case <-ctx.Done():
			return failure.Systemf("the job was stopped while it waited")
		case <-time.After(lookPeriod):
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
		if d.record.live, full, err = j.Admit(c); d.record.live == nil {
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
	return a.d.inHostJournal(ctx, func(j *journal.Journal) error { return j.Withdraw(&a.candidate) })
}

// marked returns the mark that keeps this job's config stage out, and the refusal that
// follows from it; nil for none.
func (d *authDriver) marked(dir job.AbsPath) (journal.Mark, error, error) {
	if d.Call.Stage != job.Config {
		return journal.Mark{}, nil, nil
	}
	m, ok, err := journal.Stopped(dir, d.key(), time.Now(), time.Now)
	if ok {
		return journal.Mark{}, stoppedJob(m), err
	}
	m, ok, unread := journal.KeptOut(dir, d.key(), time.Now())
	return m, refusedWhen(ok, drained(m)), errors.Join(err, unread)
}

func refusedWhen(refuses bool, refusal error) error {
	if !refuses {
		return nil
	}
	return refusal
}

func stoppedJob(m journal.Mark) error {
	text := ""
	if m.Message != "" {
		text = ": " + m.Message
	}
	return &denial{rule: RuleStopped, err: failure.Deniedf("stopped by an administrator: %q", m.Message).
		WithPublic("stopped by the administrators of this CI resource%s", text)}
}

func drained(m journal.Mark) error {
	return &denial{rule: RuleDrain, err: failure.Deniedf("drained: %q", m.Message).
		WithPublic("this CI resource takes no new jobs%s: %s", untilText(m), m.Message).WithHint("retry the job then")}
}

func untilText(m journal.Mark) string {
	if m.Until == 0 {
		return ""
	}
	return " until " + time.Unix(m.Until, 0).Format("2006-01-02 15:04")
}

// mayWait reports whether a drain's time to wait is not over.
func (d *authDriver) mayWait(m journal.Mark) bool {
	return m.Hold > 0 && time.Now().Before(d.tokenTime().Add(time.Duration(m.Hold)*time.Second))
}

// tokenTime is when GitLab issued the token, at the start of the job. Times to wait count
// from it, as the runner calls a config stage that failed up to three times.
func (d *authDriver) tokenTime() time.Time {
	if from := d.id.Token.IssuedAt; !from.IsZero() {
		return from
	}
	return d.Started
}
