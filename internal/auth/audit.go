package auth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auditlog"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/trustedfile"
)

// openLog opens the operator's log as the site configured it. A log that cannot be
// written never stops a job.
func (d *authDriver) openLog(ctx context.Context, lost func(error)) auditlog.Log {
	l := d.Site.Auth.Logging
	if !l.Enabled {
		return auditlog.Log{}
	}
	log, err := auditlog.New(auditlog.Settings{
		Level: string(l.Level), Instance: d.Site.General.Name, Destination: d.logDestination(ctx, l), Lost: lost,
		Call: thisCall(), Counter: &auditlog.Counter{Open: func() (*os.File, error) { return d.openKept(ctx, config.CounterName, statedir.Dir.OpenUpdate) }},
	})
	if err != nil {
		lost(err)
	}
	return log
}

func (d *authDriver) logDestination(ctx context.Context, l config.Logging) auditlog.Destination {
	switch {
	case l.Address != "":
		return auditlog.RemoteSyslog(l.Network, l.Address)
	case l.Location.Syslog:
		return auditlog.Syslog()
	case l.Location.Journal:
		return auditlog.Journal()
	}
	return auditlog.File(func() (*os.File, error) { return d.logFile(ctx) })
}

// logFile opens the log of a site that has it in a file.
func (d *authDriver) logFile(ctx context.Context) (*os.File, error) {
	if named := d.Site.Auth.Logging.Location.File; !named.IsZero() {
		return d.openNamed(named)
	}
	return d.openKept(ctx, config.LogName, statedir.Dir.OpenAppend)
}

// openKept opens a file of the state directory.
func (d *authDriver) openKept(ctx context.Context, name string, open func(statedir.Dir, string) (*os.File, error)) (*os.File, error) {
	dir, err := d.stateDir(ctx)
	if err != nil {
		return nil, err
	}
	return open(dir, name)
}

// openNamed opens a file that the site named, as the owner of the state: the service
// account must not be able to write to it.
func (d *authDriver) openNamed(path job.AbsPath) (file *os.File, err error) {
	err = d.helperIDs().WithIDs(func() error { file, err = trustedfile.Self().OpenAppend(path); return err })
	return file, err
}

// thisCall identifies this process among all since the start of the host.
func thisCall() string {
	p, ok := proctree.Find(os.Getpid())
	if !ok {
		return strconv.Itoa(os.Getpid())
	}
	return fmt.Sprintf("%d.%d", p.PID, p.Start)
}

// lost reports a log that cannot be written: once in the job's log, without the reason,
// and in each cleanup, whose output is in the runner's own log only.
func (d *authDriver) lost(err error) {
	d.noteLimit(err)
	if d.noHelper != nil {
		err = d.noHelper
	}
	log := joblog.NewWriter(d.Stderr)
	switch {
	case d.Call.Unobfuscated || d.Call.Stage == job.Cleanup:
		log.Warn("cannot write the operator's log: %v", err)
	case d.Call.Stage == job.Prepare:
		log.Warn("cannot write the operator's log (administrators: see jacamar-admin check)")
	}
}

// about identifies the job, as far as it is known.
func (d *authDriver) about() auditlog.Subject {
	s := auditlog.Subject{
		Stage: d.Call.Stage, SubStage: job.SubStage(d.Call.SubStage), Job: d.Facts.ID, Pipeline: d.Facts.PipelineID,
		ProjectID: d.Facts.ProjectID, UserID: d.Facts.UserID, Image: d.Image,
	}
	if id := d.id; id.JobID != 0 {
		s.Pipeline, s.Project, s.ProjectID = id.Pipeline.ID, id.Project.Path, id.Project.ID
		s.Login, s.UserID, s.Runner, s.TokenID = id.User.Login, id.User.ID, id.RunnerID, id.Token.ID
	}
	if a := d.state.Facts.Account; a.Name != (job.Username{}) {
		s.Account = &a
	}
	return s
}

// ended records how the stage ended. Without a usable configuration, which has the
// location of the log, the record goes to the machine's syslog.
func (d *authDriver) ended(err error) {
	end := auditlog.End{Exit: "ok", Duration: time.Since(d.Started)}
	if err != nil {
		end.Exit, end.Reason = failure.KindOf(err).String(), err.Error()
		end.Code, _ = failure.ScriptCode(err)
	}
	if d.Site.General.GitLabServer == nil && err != nil {
		d.log, _ = auditlog.New(auditlog.Settings{Level: string(config.Error), Destination: auditlog.Syslog(), Call: thisCall()})
	}
	if j, ok := d.jobEnd(end, err); ok {
		d.log.JobEnded(d.about(), j)
	}
	d.log.Ended(d.about(), end)
	d.log.Close()
}

// jobEnd returns the end of a job: after its cleanup, or after a config stage that failed,
// which leaves nothing to clean up. Of the stages in between it has what is in the
// journal.
func (d *authDriver) jobEnd(stage auditlog.End, err error) (j auditlog.JobEnd, ok bool) {
	switch {
	case d.Call.Stage == job.Config && err != nil:
		rule, _ := ruleOf(err)
		return auditlog.JobEnd{End: stage, Rule: strings.TrimSuffix(rule, RuleOther), Failed: d.stageName(), Stages: 1}, true
	case d.Call.Stage != job.Cleanup || !d.Resumed || d.id.JobID == 0:
		return j, false
	}
	r := d.record.result
	j = auditlog.JobEnd{
		End: auditlog.End{Exit: r.Exit, Code: r.Code, Reason: r.Reason}, Rule: r.Rule, Executor: r.Executor, Failed: r.Stage, Stages: r.Stages,
		Scheduler: r.System, BatchID: r.BatchID, Node: r.Node, Waited: inSeconds(r.Waited), CPU: inSeconds(r.CPU), Memory: r.Peak,
	}
	if !r.Began.IsZero() {
		j.Duration = time.Since(r.Began)
	}
	return j, true
}

func inSeconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// warn records an error that did not end the stage.
func (d *authDriver) warn(err error) {
	d.noteLimit(err)
	d.log.Warned(d.about(), err)
}

// noteLimit keeps the first error that is due to a resource limit of this process.
func (d *authDriver) noteLimit(err error) {
	if d.limited == nil && (errors.Is(err, unix.EFBIG) || errors.Is(err, unix.EMFILE)) {
		d.limited = err
	}
}

// withinLimits refuses a stage whose records, or the marks of administrators, a resource
// limit of this process has kept from it, where this process has privileges that its caller
// has not. Other errors stop no job, but the caller sets these limits, and can change them
// at any moment (prlimit(2)): it would act as a user without a record. A cleanup runs none
// of its programs.
func (d *authDriver) withinLimits() error {
	if d.limited == nil || !d.hasExtraPrivileges() || d.Call.Stage == job.Cleanup {
		return nil
	}
	return failure.Privatef("cannot record the job within the limits of the runner's service: %w", d.limited)
}

// leftBehind records what jacamar could not remove.
func (d *authDriver) leftBehind(left []ipc.Leftover) {
	for _, l := range left {
		d.warn(fmt.Errorf("left behind: %s", l.Reason))
	}
}
