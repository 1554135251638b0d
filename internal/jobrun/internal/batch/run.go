package batch

import (
	"context"
	"errors"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Run submits the script, shows its output and its waiting, and returns how it
// ended. Whatever happens, the job is over when it returns, or the record of it
// is left for Cleanup.
func (t Task) Run(script []byte, stop Stop) error {
	ctx, cancel := until(stop.Terminate)
	defer cancel()
	t.Scheduler = t.version(ctx)
	args, err := t.arguments()
	if err != nil {
		return err
	}
	t.Sweep(ctx)
	if err := t.dir().create(script, t.wrapping().text()); err != nil {
		return err
	}
	r := &run{Task: t, stop: stop, submitted: time.Now()}
	if err := r.note(); err != nil {
		return err
	}
	err = r.whole(ctx, args)
	if r.unsure != nil {
		t.Voice.Warn("%v; the cleanup of this CI job tries again", r.unsure)
		return err
	}
	if rerr := t.dir().remove(t.Retain); rerr != nil && err == nil {
		t.Voice.Warn("cannot remove the files of the batch job: %v", rerr)
	}
	return err
}

// until gives a context that ends when c is closed.
func until(c <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-c:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// version is the batch system that is there, where there are several of one name.
func (t Task) version(ctx context.Context) scheduler.Scheduler {
	if v, ok := t.Scheduler.(scheduler.Versioned); ok {
		return v.Of(t.run(ctx, v.Version(), queryLimit))
	}
	return t.Scheduler
}

// arguments settles what is asked of the batch system.
func (t Task) arguments() ([]scheduler.Argument, error) {
	request := scheduler.Request{Defaults: t.Settings.DefaultArgs, AllowReserved: t.Settings.AllowIllegalArgs}
	for _, r := range t.Settings.Rules {
		request.Rules = append(request.Rules, scheduler.Rule{Name: r.Name, Words: r.Args, Required: r.Required})
	}
	for _, a := range t.Settings.Arguments {
		request.User = append(request.User, scheduler.Text{Name: a.Variable, Text: string(a.Text)})
	}
	args, warnings, err := t.Scheduler.Grammar().Resolve(request)
	for _, w := range warnings {
		t.Voice.Warn("%s", w)
	}
	return args, err
}

// run is one submission at work.
type run struct {
	Task
	stop      Stop
	id        scheduler.ID
	submitted time.Time
	command   scheduler.Command

	eyes    *watcher
	poller  *poller
	began   bool
	start   start
	mark    *end
	state   scheduler.State // the last that the batch system told
	waiting waiting
	unsure  error // why the job may not be over
}

// note records what is known, for whoever has to end the job in our place.
func (r *run) note() error {
	return r.dir().write(record{Name: r.Name, Scheduler: r.Scheduler.Name(), ID: r.id, Host: r.Host, Process: r.Self, Time: r.submitted})
}

// whole is the way from submission to outcome; ctx ends when the job is told to
// stop.
func (r *run) whole(ctx context.Context, args []scheduler.Argument) error {
	sending, sent := flight(r.stop)
	s := r.submission(args, r.submitted)
	r.command = s.command
	id, err := s.send(sending, ctx)
	sent()
	if err != nil {
		return r.notSubmitted(err)
	}
	r.id = id
	if err := r.note(); err != nil {
		r.Voice.Warn("%v", err)
	}
	r.Voice.Note("%s job %s (%s) was submitted", r.Scheduler.Name(), id, r.Name)
	if l, ok := r.Scheduler.(scheduler.Constrained); ok {
		r.Voice.Note("%s", l.Limits())
	}
	work, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.eyes, r.poller = open(r.Task, id), r.Task.poller(id)
	defer r.eyes.quit()
	go r.poller.run(work)
	err = r.follow()
	cancel()
	r.summarize()
	return err
}

// notSubmitted ends a submission that did not give an id, unless it is certain
// that there is none.
func (r *run) notSubmitted(err error) error {
	if none := (unsent{}); !errors.As(err, &none) {
		r.unsure = r.end(r.stop.Abort)
	}
	if closed(r.stop.Terminate) {
		return stopped(nil)
	}
	return err
}

// follow waits for what comes first: the script's mark, the batch system's
// record, a reason to give up, or the order to stop.
func (r *run) follow() error {
	j := decider{task: r.Task, id: r.id, submitted: r.submitted}
	for {
		select {
		case <-r.stop.Terminate:
			return r.stopJob()
		case r.start = <-r.eyes.started:
			r.began = true
		case mark := <-r.eyes.ended:
			return r.settleMark(mark)
		case err := <-r.eyes.failed:
			r.unsure = r.end(r.stop.Abort)
			return failure.Systemf("cannot follow the job's output: %w", err)
		case r.state = <-r.poller.states:
			switch step, err := j.observe(r.state, r.began, time.Now()); step {
			case finish:
				return r.settleRecord()
			case giveUp:
				return r.giveUp(err)
			default:
				r.tell()
			}
		}
	}
}

// tell keeps the job's author informed while the job waits.
func (r *run) tell() {
	if r.began || r.state.Phase != scheduler.Pending {
		return
	}
	if line := r.waiting.line(r.Scheduler.Name(), r.id, r.state, time.Now()); line != "" {
		r.Voice.Note("%s", line)
	}
}
