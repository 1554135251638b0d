package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// longestDrain bounds the duration of a drain, so that a forgotten one ends.
const longestDrain = 14 * 24 * time.Hour

// longestHold is less than the runner's default for config_exec_timeout, 3600 s.
const longestHold = 55 * time.Minute

// DrainOptions are those of `jacamar-admin drain`.
type DrainOptions struct {
	Journal job.AbsPath
	// Name is the mark: of all jobs, of an account or of a project.
	Name    journal.MarkName
	Message string
	Until   time.Duration // how long the drain lasts
	Hold    time.Duration // how long a job waits before it is refused
	Allow   []job.UID
}

// SetDrain refuses new jobs. Jobs that run continue.
func SetDrain(w io.Writer, o DrainOptions, now time.Time) error {
	switch {
	case o.Message == "":
		return errors.New("a drain needs --message: users read it in the log of a refused job")
	case o.Until <= 0 || o.Until > longestDrain:
		return fmt.Errorf("--until must be positive and at most %d days (%s)", int(longestDrain/(24*time.Hour)), longestDrain)
	case o.Hold < 0 || o.Hold > longestHold:
		return fmt.Errorf("--hold is at most %s: the runner ends a config stage after an hour", longestHold)
	}
	end := now.Add(o.Until)
	m := journal.Mark{Message: o.Message, Until: end.Unix(), Hold: int64(o.Hold / time.Second), Allow: o.Allow, Made: now.Unix()}
	if err := journal.SetMark(o.Journal, o.Name, m); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s is set until %s. Pause the runner in GitLab as well: then jobs wait there instead of failing here.\n", o.Name, end.Format(time.DateTime))
	return err
}

// Resume ends a drain. A missing one is not an error.
func Resume(w io.Writer, dir job.AbsPath, name journal.MarkName) error {
	err := journal.RemoveMark(dir, name)
	if errors.Is(err, journal.ErrNoMark) {
		_, err = fmt.Fprintf(w, "%s is not set: nothing to do\n", name)
		return err
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s is removed\n", name)
	return err
}

// liveJobs reads the live jobs that chosen accepts.
func liveJobs(dir job.AbsPath, chosen func(journal.Record) bool) (all []journal.Record, err error) {
	err = Journals{dir}.each(func(dir job.AbsPath, host string) error {
		live, err := jobsNow(dir, host)
		all = append(all, slices.DeleteFunc(live, func(r journal.Record) bool { return !chosen(r) })...)
		return err
	})
	return all, err
}

// StopOptions are those of `jacamar-admin stop`.
type StopOptions struct {
	Journal job.AbsPath
	// Program is the jacamar-auth whose processes may be signalled: the journal may be
	// that of an account that could write another process there.
	Program job.AbsPath
	// AsOwner runs a function as the account that has the journal.
	AsOwner func(func() error) error
	Jobs    []job.ID
	Account *job.UID // all jobs of an account
	Message string
	// Overdue ends a cleanup as well, which no longer comes to its end by itself.
	Overdue bool
}

// Stop ends jobs as a cancel in GitLab does: their current stage gets SIGTERM, and
// later stages except cleanup refuse to run.
func Stop(w io.Writer, o StopOptions, now time.Time) error {
	mark := journal.Mark{Message: o.Message, Made: now.Unix(), Until: now.Add(longestDrain).Unix()}
	names := []journal.MarkName{}
	for _, id := range o.Jobs {
		names = append(names, journal.StopJob(id))
	}
	if o.Account != nil {
		names = append(names, journal.StopAccount(*o.Account))
	}
	err := o.eachMark(names, func(name journal.MarkName) error { return journal.SetMark(o.Journal, name, mark) })
	if err != nil {
		return err
	}
	lives, err := liveJobs(o.Journal, o.matches)
	if err != nil {
		return err
	}
	if len(lives) == 0 {
		return o.nothing(w, names)
	}
	for _, r := range lives {
		err = errors.Join(err, o.stopStage(w, r))
	}
	return err
}

// eachMark calls do for each mark, as the account that has the journal.
func (o StopOptions) eachMark(names []journal.MarkName, do func(journal.MarkName) error) error {
	return o.AsOwner(func() error {
		for _, name := range names {
			if err := do(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// nothing removes the marks of jobs that do not live: no cleanup would.
func (o StopOptions) nothing(w io.Writer, names []journal.MarkName) error {
	err := o.eachMark(names, func(name journal.MarkName) error {
		if err := journal.RemoveMark(o.Journal, name); !errors.Is(err, journal.ErrNoMark) {
			return err
		}
		return nil
	})
	if err == nil {
		_, err = fmt.Fprintln(w, "no such job is live: nothing to do")
	}
	return err
}

func (o StopOptions) matches(r journal.Record) bool {
	return o.Account != nil && r.Key.UID == *o.Account || slices.Contains(o.Jobs, r.Key.Job)
}

// stopStage ends the stage that runs, if one does.
func (o StopOptions) stopStage(w io.Writer, r journal.Record) error {
	if r.Unread != nil {
		return fmt.Errorf("cannot stop job %s: its file in the journal cannot be read: %w", r.Key.Job, r.Unread)
	}
	stage, ok := r.Find(journal.Stage)
	if !r.Running || !ok || stage.Context.Process == nil || stage.Context.Process.Gone() {
		return noStage(w, r)
	}
	if stage.Context.Stage == string(job.Cleanup) && !o.Overdue {
		_, err := fmt.Fprintf(w, "job %s: its cleanup runs, and it ends with that\n", r.Key.Job)
		return err
	}
	switch runs, ended := o.runs(stage.Context.Process.PID); {
	case ended:
		return noStage(w, r)
	case !runs:
		return fmt.Errorf("cannot stop job %s: its process %d, by the journal, is no %s", r.Key.Job, stage.Context.Process.PID, o.Program)
	}
	if err := stage.Context.Process.Signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("cannot stop job %s (process %d): %w", r.Key.Job, stage.Context.Process.PID, err)
	}
	_, err := fmt.Fprintf(w, "job %s: sent SIGTERM to its stage %s\n", r.Key.Job, job.Printable(stage.Context.Stage))
	return err
}

func noStage(w io.Writer, r journal.Record) error {
	_, err := fmt.Fprintf(w, "job %s: no stage runs; the next one will refuse\n", r.Key.Job)
	return err
}

// runs reports whether a process runs the program, which may have been replaced since
// it was started (proc_pid_exe(5)), or has ended, or is just ending.
func (o StopOptions) runs(pid int) (runs, ended bool) {
	file, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	ended = errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
	return err == nil && strings.TrimSuffix(file, " (deleted)") == o.Program.String(), ended
}

// waitPeriod is how often AwaitIdle reads the journal again.
const waitPeriod = time.Second

// AwaitIdle waits until no job is live or ctx ends.
func AwaitIdle(ctx context.Context, dir job.AbsPath) error {
	return poll(ctx, waitPeriod, func() (bool, error) {
		lives, err := liveJobs(dir, func(journal.Record) bool { return true })
		return len(lives) == 0, err
	})
}
