package jobrun

import (
	"os"
	"strings"
	"unicode"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/executor"
	"jacamar-ci/internal/jobrun/internal/workspace"
	"jacamar-ci/internal/version"
)

// config makes the job's directories and tells where they are.
func (s stage) config() (settled, error) {
	if err := executor.CheckBatch(s.brief); err != nil {
		return settled{}, err
	}
	variables, err := s.variables()
	if err != nil {
		return settled{}, err
	}
	return inWorkspace(s, storageLimit, variables, func(w *workspace.Workspace) (settled, error) {
		dirs, err := w.Config()
		return settled{dirs, w.Unremoved()}, err
	})
}

// prepare says in the job's log where and as whom the job runs.
func (s stage) prepare() error {
	left, err := inWorkspace(s, storageLimit, nil, func(w *workspace.Workspace) ([]ipc.Leftover, error) {
		if err := w.Prepare(); err != nil {
			return nil, err
		}
		left, _ := w.EarlierLeftovers() // what cannot be read keeps no job from running
		return left, nil
	})
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	voice := joblog.NewWriter(s.stdout)
	for line := range strings.Lines(s.brief.Settings.Message) {
		voice.Note("%s", strings.TrimSuffix(line, "\n"))
	}
	voice.Note("Running as %s on %s in %s (%s executor, Jacamar %s)",
		s.brief.Account.Name, host, s.brief.Dirs.Builds, s.brief.Settings.Executor, version.Number())
	if s.brief.Settings.Downscope == "none" {
		voice.Note("This resource runs every job as the account %s (downscope = \"none\").", s.brief.Account.Name)
	}
	reportLeft(voice, left)
	s.forewarn(voice)
	return nil
}

// reportedLeft is how many leftovers a job's log shows.
const reportedLeft = 3

// reportLeft shows what cleanups of earlier jobs could not remove.
func reportLeft(voice joblog.Writer, left []ipc.Leftover) {
	for _, l := range left[:min(len(left), reportedLeft)] {
		voice.Warn("left behind by an earlier job of yours: %s", l.Reason)
	}
	if more := len(left) - reportedLeft; more > 0 {
		voice.Warn("left behind by earlier jobs of yours: %d more files or directories", more)
	}
}

// forewarn tells of what would go wrong later, and more quietly.
func (s stage) forewarn(voice joblog.Writer) {
	if line := s.pressure(); line != "" {
		voice.Warn("%s", line)
	}
	if unusedCustom(s.brief.Settings.Storage) {
		voice.Warn("CUSTOM_CI_BUILDS_DIR has no effect on this resource")
	}
	if blankPath(s.brief) {
		voice.Warn("the build directory has a blank in its path: GitLab Runner cannot use local caches there")
	}
	if s.brief.Job.Helper && s.missing("gitlab-runner") {
		voice.Warn("gitlab-runner is not in your PATH here: the job's caches and artifacts will be skipped")
	}
	if s.brief.Job.Image {
		voice.Warn("image: has no effect on this resource: the job runs with the programs of this machine")
	}
	if s.brief.Job.Services {
		voice.Warn("services: has no effect on this resource: no service is started for the job")
	}
	if s.brief.Job.StepRunner && s.missing("step-runner") {
		voice.Warn("step-runner is not in your PATH here, and a job with \"run:\" needs it: install it there, or write the job with \"script:\"")
	}
}

// blankPath reports whether the runner's scripts, which do not quote the path of a
// local cache, will get it wrong.
func blankPath(b ipc.Request) bool {
	blank := func(p job.AbsPath) bool { return strings.ContainsFunc(p.String(), unicode.IsSpace) }
	return b.Job.Helper && (blank(b.Dirs.Builds) || blank(b.Dirs.Cache))
}

// cleanup gives up what the job held. Nothing of it reaches the user but what stays,
// in the next job.
func (s stage) cleanup() (settled, error) {
	if err := s.endBatch(); err != nil {
		return settled{}, err
	}
	return inWorkspace(s, cleanupLimit, nil, func(w *workspace.Workspace) (settled, error) {
		err := w.Cleanup()
		return settled{left: w.Unremoved()}, err
	})
}

// endBatch ends what the job left with a batch system. When that cannot be seen
// to, the job's directory stays, with the record by which a later job does it.
func (s stage) endBatch() error {
	if s.brief.Settings.Batch == nil || s.brief.Dirs.Scripts.IsZero() {
		return nil
	}
	family, err := s.family(false)
	if err != nil {
		return err
	}
	return executor.NewBatch(s.brief, family, s.stdout).Cleanup()
}
