package jobrun

import (
	"errors"
	"os"
	"strings"
	"time"
	"unicode"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/workspace"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/version"
)

// config creates the job's directories and returns their paths.
func (s stage) config() (stageResult, error) {
	if err := executor.CheckBatch(s.request); err != nil {
		return stageResult{}, err
	}
	if err := s.checkContainer(); err != nil {
		return stageResult{}, err
	}
	variables, err := s.variables()
	if err != nil {
		return stageResult{}, err
	}
	return inWorkspace(s, storageLimit, variables, func(w *workspace.Workspace) (stageResult, error) {
		dirs, err := w.Config()
		s.showRepaired(w.Repaired())
		return stageResult{dirs, w.Unremoved()}, err
	})
}

// prepare writes to the job's log where the job runs, and as which account.
func (s stage) prepare() error {
	left, err := inWorkspace(s, storageLimit, nil, func(w *workspace.Workspace) ([]ipc.Leftover, error) {
		if err := w.Prepare(); err != nil {
			return nil, err
		}
		left, _ := w.EarlierLeftovers() // an unreadable list must not prevent the job
		return left, nil
	})
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	log := joblog.NewWriter(s.stdout)
	for line := range strings.Lines(s.request.Settings.Message) {
		log.Note("%s", strings.TrimSuffix(line, "\n"))
	}
	log.Note("Running as %s on %s in %s (%s executor, Jacamar %s)",
		s.request.Account.Name, host, s.request.Dirs.Builds, s.request.Settings.Executor, version.Number())
	if s.request.Settings.Downscope == settings.None {
		log.Note("This resource runs every job as the account %s (downscope = \"none\").", s.request.Account.Name)
	}
	showLeftovers(log, left)
	s.warn(log)
	return s.prepareContainer(log)
}

// showRepaired describes what was put right since the last job. The config stage does: its
// call comes before all others.
func (s stage) showRepaired(lines []string) {
	for _, line := range lines[:min(len(lines), maxShownLeftovers)] {
		joblog.NewWriter(s.stdout).Note("%s", line)
	}
}

// maxShownLeftovers bounds the leftovers in a job's log.
const maxShownLeftovers = 3

// showLeftovers lists what cleanups of earlier jobs could not remove.
func showLeftovers(log joblog.Writer, left []ipc.Leftover) {
	for _, l := range left[:min(len(left), maxShownLeftovers)] {
		log.Warn("left behind by an earlier job of yours: %s", l.Reason)
	}
	if more := len(left) - maxShownLeftovers; more > 0 {
		log.Warn("left behind by earlier jobs of yours: %d more files or directories", more)
	}
}

// warn warns about conditions that would cause less obvious errors later.
func (s stage) warn(log joblog.Writer) {
	if line := s.spaceWarning(); line != "" {
		log.Warn("%s", line)
	}
	if customDirUnused(s.request) {
		log.Warn("CUSTOM_CI_BUILDS_DIR has no effect on this resource")
	}
	for _, v := range s.request.Job.Misspelt {
		log.Warn("%s has no effect: the name of the variable is %s", v.Name, v.Meant)
	}
	if hasBlankPath(s.request) {
		log.Warn("the path of the build directory contains a blank: GitLab Runner cannot use local caches there")
	}
	if s.request.Job.Helper && !s.hasRunnerImage() && s.missing("gitlab-runner") {
		log.Warn("gitlab-runner is not in your PATH on this machine: the job's caches and artifacts will be skipped")
	}
	if s.request.Job.Image && s.request.Settings.Container == nil {
		log.Warn("image: has no effect on this resource: the job runs with the programs of this machine")
	}
	if line := unusedServices(s.request); line != "" {
		log.Warn("%s", line)
	}
	if s.request.Job.StepRunner && s.missing("step-runner") {
		log.Warn("step-runner is not in your PATH on this machine, and a job with \"run:\" needs it: install it, or write the job with \"script:\"")
	}
}

// customDirUnused reports whether the job chose a directory and the site does not allow
// that.
func customDirUnused(b ipc.Request) bool {
	return !b.Settings.CustomBuildDir && strings.TrimSpace(string(b.Job.CustomBuilds)) != ""
}

// hasRunnerImage reports whether the runner's own scripts run in an image of the site.
func (s stage) hasRunnerImage() bool {
	c := s.request.Settings.Container
	return c != nil && c.Runner != nil
}

// hasBlankPath reports whether a path contains a blank: the runner's scripts do not quote
// the path of a local cache.
func hasBlankPath(b ipc.Request) bool {
	blank := func(p job.AbsPath) bool { return strings.ContainsFunc(p.String(), unicode.IsSpace) }
	return b.Job.Helper && (blank(b.Dirs.Builds) || blank(b.Dirs.Cache))
}

// cleanup releases the job's resources. The user sees only what could not be removed, in
// the log of the next job.
func (s stage) cleanup() (stageResult, error) {
	if err := s.endMarked(); err != nil {
		return stageResult{}, err
	}
	if err := s.cancelBatchJobs(); err != nil {
		return stageResult{}, err
	}
	result, err := inWorkspace(s, cleanupLimit, nil, func(w *workspace.Workspace) (stageResult, error) {
		if s.request.Ghost && !w.AwaitStage(ghostLimit) {
			return stageResult{}, failure.Privatef("a process of job %s still runs", s.request.Job.ID)
		}
		if size, ok := w.Measure(s.request.Measure); ok {
			_ = s.note(ipc.Note{Disk: &ipc.DiskNote{Bytes: size.Bytes, Files: size.Files, Partial: size.Partial}})
		}
		err := w.Cleanup()
		return stageResult{left: w.Unremoved()}, err
	})
	if err == nil { // else a process of the job may still use its image
		s.cleanUpContainers()
	}
	return result, err
}

// endMarkedLimit is how long the end of what a stage has left running may take: of processes
// that start others without pause, on a busy host, it takes some seconds.
const endMarkedLimit = 20 * time.Second

// endMarked ends what a stage has left running whose programs were both killed, or could
// not end it. A process can place its environment in a file of a file system that does not respond.
func (s stage) endMarked() error {
	if !s.request.MayRun {
		return nil
	}
	left, err := withLimit(s, 2*endMarkedLimit, func() ([]proctree.Process, error) {
		return proctree.EndMarked(executor.Mark(s.request), time.Now().Add(endMarkedLimit)), nil
	})
	return errors.Join(err, stillRun(left))
}

// stillRun is the error of processes that could not be ended.
func stillRun(left []proctree.Process) error {
	if len(left) == 0 {
		return nil
	}
	return failure.Systemf("processes of the job could not be ended: %s", proctree.Look(left[0].PID))
}

// cancelBatchJobs cancels the job's remaining batch jobs. If their end cannot be
// confirmed, the job's directory stays, with the record that a later job needs.
func (s stage) cancelBatchJobs() error {
	if s.request.Dirs.Scripts.IsZero() {
		return nil
	}
	if s.request.Settings.Batch == nil {
		return batch.Unreachable(s.request.Dirs.Scripts)
	}
	reaper, err := s.newReaper(false)
	if err != nil {
		return err
	}
	return executor.NewBatch(s.request, reaper, s.stdout, nil).Cleanup()
}
