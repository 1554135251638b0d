// Package batch runs a job's script on any of the supported batch systems.
//
// One directory on storage that the nodes share contains all files of one
// submission: the script, the wrapper that is submitted, the log, and the status
// files that the wrapper writes. The engine writes a record before it submits, and
// adds the id afterwards. It detects the end by the wrapper's status file and then
// queries the batch system for the reason. A job that is missing from the queue may
// still run: only a status file or the batch system's record ends a job.
//
// The file "started" is a lock: the process that creates it first owns the job. The
// wrapper runs the script only if it created the file. So a submission that was
// abandoned never runs late, and no script runs twice.
package batch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/proctree"
)

// Task is one script to run on a batch system.
type Task struct {
	Scheduler scheduler.Scheduler
	Commands  Commander
	Settings  ipc.Batch
	// Watch reports changes in a directory earlier than polling does; optional.
	Watch func(dir string) (hints <-chan struct{}, stop func(), err error)

	Messages joblog.Writer
	Output   io.Writer // receives the script's output

	Scripts job.AbsPath // the CI job's own directory, on storage that the nodes share
	Name    string      // unique name of the submission; see Name
	User    string
	Shell   string // bash's path
	// Profiles selects the files that the shell reads before the script.
	Profiles loginshell.Profiles
	// HideProfiles keeps what they print out of the job's log.
	HideProfiles bool
	WorkDir      string
	// Payload runs instead of the login shell, nil for none.
	Payload *Payload
	Retain  bool // keep the log and the status files
	// Few reports that few jobs of this host are live, so that each may query more often.
	Few bool

	Host string
	Self proctree.Process
	// Note reports the job's phase, for the administrators; optional.
	Note func(ipc.BatchNote)
}

// Name is the batch system's name for a CI job's script. Steps other than the
// main script have their own, so that each name is submitted once.
func Name(runner string, id job.ID, step job.SubStage) string {
	name := prefix(runner) + id.String()
	if step != job.BuildScript {
		name += "-" + string(step)
	}
	return name
}

func prefix(runner string) string { return fmt.Sprintf("ci-%s-", runner) }

// dir is the directory of this submission.
func (t Task) dir() directory { return directory(filepath.Join(t.Scripts.String(), t.Name)) }

func (t Task) wrapper() wrapperParams {
	return wrapperParams{dir: t.dir(), shell: t.Shell, profiles: t.Profiles, profileNotice: profileNotice, hide: t.HideProfiles, payload: t.Payload}
}

// Limits on the batch system's commands. They hang while the controller is down:
// Slurm's time out after 10 to 60 s. sbatch retries for two minutes by itself while
// the controller accepts no jobs.
const (
	submitLimit = 150 * time.Second
	queryLimit  = 30 * time.Second
	cancelLimit = 30 * time.Second
)

// Run submits the script, shows its output and why it is pending, and returns its
// outcome. When Run returns, either the job has ended or its record remains for
// Cleanup.
func (t Task) Run(script []byte, stop process.Stop) error {
	ctx, cancel := until(stop.Terminate)
	defer cancel()
	t.Scheduler = t.version(ctx)
	args, err := t.arguments()
	if err != nil {
		return err
	}
	t.CancelOrphans(ctx)
	if err := t.dir().create(script, t.wrapper()); err != nil {
		return err
	}
	t.Scheduler = inClusters(t.Scheduler, clusters(t.Scheduler, args, ""))
	r := &submittedJob{Task: t, stop: stop, args: args, submitted: time.Now()}
	if err := r.writeRecord(); err != nil {
		return err
	}
	err = r.submitAndFollow(ctx)
	if r.cancelErr != nil {
		t.Messages.Warn("%v; the cleanup stage of this CI job will retry", r.cancelErr)
		return err
	}
	if rerr := t.dir().remove(t.Retain); rerr != nil && err == nil {
		t.Messages.Warn("cannot remove the files of the batch job: %v", rerr)
	}
	return err
}

// until returns a context that ends when c is closed.
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

// version returns the variant that is installed of a batch system that has several.
func (t Task) version(ctx context.Context) scheduler.Scheduler {
	if v, ok := t.Scheduler.(scheduler.Versioned); ok {
		return v.ForVersion(t.runCommand(ctx, v.Version(), queryLimit))
	}
	return t.Scheduler
}

// arguments combines the arguments of the site and of the job.
func (t Task) arguments() ([]scheduler.Argument, error) {
	request := scheduler.Request{Defaults: t.Settings.DefaultArgs, AllowReserved: t.Settings.AllowIllegalArgs}
	for _, r := range t.Settings.Rules {
		request.Rules = append(request.Rules, scheduler.Rule{Name: r.Name, Words: r.Args, Required: r.Required})
	}
	for _, a := range t.Settings.Arguments {
		request.User = append(request.User, scheduler.UserText{Name: a.Variable, Text: string(a.Text)})
	}
	args, warnings, err := t.Scheduler.Grammar().Resolve(request)
	for _, w := range warnings {
		t.Messages.Warn("%s", w)
	}
	return args, err
}

// submittedJob is a submission and what is known of it.
type submittedJob struct {
	Task
	stop      process.Stop
	args      []scheduler.Argument
	id        scheduler.ID // "" when the batch system has forgotten the job
	submitted time.Time
	command   scheduler.Command

	watcher     *watcher
	poller      *poller
	started     bool
	startStatus startStatus
	endStatus   *endStatus
	state       scheduler.State // from the latest query
	notices     noticeTimer
	cancelErr   error  // why the job may still run
	reason      string // why it is pending, as last reported
	suspended   bool   // as last reported

	pendingReports int
}

// writeRecord writes what another process needs to cancel the job.
func (r *submittedJob) writeRecord() error {
	in := clusters(r.Scheduler, r.args, r.id)
	return r.dir().write(record{Name: r.Name, Scheduler: r.Scheduler.Name(), Clusters: in, ID: r.id, Host: r.Host, Process: r.Self, Time: r.submitted})
}

// submitAndFollow submits the job and returns its outcome; ctx ends when the job has
// to stop.
func (r *submittedJob) submitAndFollow(ctx context.Context) error {
	sending, sent := submitContext(r.stop)
	s := r.newSubmission(r.args, r.submitted)
	r.command = s.command
	id, err := s.send(sending, ctx)
	sent()
	if err != nil {
		return r.submitFailed(err)
	}
	r.id = id
	if err := r.writeRecord(); err != nil {
		r.Messages.Warn("%v", err)
	}
	if id != "" {
		r.Messages.Note("%s job %s (%s) was submitted", r.Scheduler.Name(), id, r.Name)
	}
	r.report(ipc.BatchNote{Phase: ipc.Submitted})
	if l, ok := r.Scheduler.(scheduler.Constrained); ok {
		r.Messages.Note("%s", l.Limits())
	}
	saveMemory()
	work, cancel := context.WithCancel(context.Background())
	defer cancel()
	r.watcher, r.poller = newWatcher(r.Task, r.shown()), r.Task.newPoller(id)
	defer r.watcher.quit()
	if id != "" {
		go r.poller.run(work)
	}
	err = r.follow()
	cancel()
	r.summarize()
	return err
}

// waitingGC is how much a process that waits may allocate until it collects garbage, in
// percent of what it uses. The default would let each of hundreds grow to 4 MiB.
const waitingGC = 20

// shown is the id in messages, the name while it is unknown.
func (r *submittedJob) shown() string {
	if r.id == "" {
		return r.Name
	}
	return string(r.id)
}

// saveMemory returns what the submission needed to the system.
func saveMemory() {
	debug.SetGCPercent(waitingGC)
	debug.FreeOSMemory()
}

// submitFailed cancels a submission of unknown id, unless the batch system certainly
// did not accept it.
func (r *submittedJob) submitFailed(err error) error {
	if none := (notAccepted{}); !errors.As(err, &none) {
		r.cancelErr = r.cancel()
	}
	if r.stop.Terminating() {
		return stoppedOutcome(nil)
	}
	return err
}

// follow waits for the first of these: the script's status file, the batch system's
// record, a reason to abandon the job, or the request to stop.
func (r *submittedJob) follow() error {
	d := decider{task: r.Task, id: r.id, submitted: r.submitted}
	for {
		select {
		case <-r.stop.Terminate:
			return r.terminate()
		case r.startStatus = <-r.watcher.started:
			r.started = true
			r.report(ipc.BatchNote{Phase: ipc.Started})
		case status := <-r.watcher.ended:
			return r.finishByStatusFile(status)
		case err := <-r.watcher.failed:
			r.cancelErr = r.cancel()
			return failure.Systemf("cannot read the job's output: %w", err)
		case r.state = <-r.poller.states:
			switch step, err := d.observe(r.state, r.started, time.Now()); step {
			case finishJob:
				return r.finishByQueue()
			case abandonJob:
				return r.abandon(err)
			default:
				r.reportPending()
				r.reportSuspended()
			}
		}
	}
}

// reportPending shows in the job's log why the job is pending.
func (r *submittedJob) reportPending() {
	if r.started || r.state.Phase != scheduler.Pending {
		return
	}
	r.reportWaiting()
	if line := r.notices.line(r.Scheduler.Name(), r.id, r.state, time.Now()); line != "" {
		r.Messages.Note("%s", line)
	}
}

// reportSuspended shows in the job's log that the batch system has suspended the job, and
// that it runs again: a script that prints nothing has no other sign of it.
func (r *submittedJob) reportSuspended() {
	if r.state.Phase != scheduler.Running || r.state.Suspended == r.suspended {
		return
	}
	if r.suspended = r.state.Suspended; !r.suspended {
		r.Messages.Note("%s job %s runs again", r.Scheduler.Name(), r.id)
		return
	}
	r.Messages.Note("%s job %s does not run at the moment: %s (%s); the CI job's timeout goes on", r.Scheduler.Name(), r.id, r.state.Description, r.state.Name)
}
