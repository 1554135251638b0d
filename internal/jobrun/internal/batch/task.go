package batch

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/proctree"
)

// Task is one script to run on a batch system.
type Task struct {
	Scheduler scheduler.Scheduler
	Commands  Commander
	Settings  ipc.Batch
	// Hints tell of changes in a directory, before they would be seen; optional.
	Hints func(dir string) (hints <-chan struct{}, stop func(), err error)

	Voice joblog.Writer
	Log   io.Writer // takes the script's output

	Scripts job.AbsPath // the CI job's own directory, on storage that the nodes see
	Name    string      // unique name of the submission; see Name
	User    string
	Shell   string // bash's path
	// Profiles is what the script's shell reads before it.
	Profiles loginshell.Profiles
	WorkDir  string
	Retain   bool // keep the log and the marks

	Host string
	Self proctree.Process
}

// Stop is how the outside ends a job: Asked in good order, Lost at once.
type Stop struct{ Terminate, Abort <-chan struct{} }

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

func (t Task) wrapping() wrapping {
	return wrapping{dir: t.dir(), shell: t.Shell, profiles: t.Profiles, patience: patience}
}

// Limits on the batch system's commands. A controller that is away lets them
// hang: Slurm's for 10 to 60 s before they give up by themselves. sbatch tries for
// two minutes by itself where the controller takes no jobs.
const (
	submitLimit = 150 * time.Second
	queryLimit  = 30 * time.Second
	cancelLimit = 30 * time.Second
)
