package executor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/cobalt"
	"jacamar-ci/internal/jobrun/internal/scheduler/flux"
	"jacamar-ci/internal/jobrun/internal/scheduler/lsf"
	"jacamar-ci/internal/jobrun/internal/scheduler/pbs"
	"jacamar-ci/internal/jobrun/internal/scheduler/sge"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
	"jacamar-ci/internal/jobrun/internal/tail"
	"jacamar-ci/internal/proctree"
)

// schedulers are the batch executors by their names in the configuration.
var schedulers = map[string]scheduler.Scheduler{
	"cobalt": cobalt.Cobalt{},
	"flux":   flux.Flux{},
	"lsf":    lsf.LSF{},
	"pbs":    pbs.PBS{},
	"sge":    sge.SGE{},
	"slurm":  slurm.Slurm{},
}

// CheckBatch reports whether every command that the request's executor runs is there.
func CheckBatch(b ipc.Request) error {
	if b.Settings.Batch == nil {
		return nil
	}
	s := schedulers[string(b.Settings.Executor)]
	if s == nil {
		return failure.Systemf("this jacamar has no executor %q", b.Settings.Executor).
			WithHint("install jacamar and jacamar-auth from one package")
	}
	env := commandEnv(NewShell(b).Env, *b.Settings.Batch)
	if err := (batch.Programs{Dirs: commandDirs(*b.Settings.Batch, env)}).Missing(programs(s, b.Settings.Batch.SlurmSacct)); err != nil {
		return failure.Systemf("cannot use the executor %q: %w", b.Settings.Executor, err).
			WithHint("the resource's administrators set batch.scheduler_bin to the directory of the commands")
	}
	return nil
}

// programs are the names of all programs of a batch system that a job may run.
func programs(s scheduler.Scheduler, accounting bool) []string {
	commands := []scheduler.Command{s.Submit(scheduler.Spec{}, nil), s.Cancel("1")}
	for _, q := range s.Queries("1", accounting) {
		commands = append(commands, q.Command)
	}
	if f, ok := s.(scheduler.Finder); ok {
		commands = append(commands, f.Find("", ""))
	}
	if f, ok := s.(scheduler.Signaller); ok {
		commands = append(commands, f.Signal("1"))
	}
	var names []string
	for _, c := range commands {
		if !slices.Contains(names, c.Argv[0]) {
			names = append(names, c.Argv[0])
		}
	}
	return names
}

// Submits reports whether the request's script is for a batch system: only the job
// author's own scripts are.
func Submits(b ipc.Request) bool {
	return b.Settings.Batch != nil && b.SubStage.UserScript()
}

// NewBatch prepares a submission of the request's script. Its commands run as
// children of the reaper. note reports the job's phase; it may be nil.
func NewBatch(b ipc.Request, reaper *process.Reaper, out *os.File, note func(ipc.BatchNote)) batch.Task {
	shell := NewShell(b)
	host, _ := os.Hostname()
	self, _ := proctree.Find(os.Getpid())
	settings := *b.Settings.Batch
	env := commandEnv(shell.Env, settings)
	return batch.Task{
		Scheduler: schedulers[string(b.Settings.Executor)],
		Commands:  batch.Programs{Reaper: reaper, Dirs: commandDirs(settings, env), Env: env, Dir: "/"},
		Settings:  settings,
		Watch:     tail.Watch,
		Messages:  joblog.NewWriter(out), Output: out,
		Scripts: b.Dirs.Scripts, Name: batch.Name(b.Job.Runner, b.Job.ID, b.SubStage),
		User: b.Account.Name.String(), Shell: shell.Path, Profiles: profiles(b.Job), HideProfiles: b.SubStage != job.BuildScript, WorkDir: workDir(shell.Home),
		Retain: b.Settings.RetainLogs, Few: b.LiveJobs > 0 && b.LiveJobs <= fewJobs, Host: host, Self: self, Note: note,
	}
}

// fewJobs is up to how many live jobs of a host query the batch system often.
const fewJobs = 20

// workDir is where a script begins: the account's home, or the root directory
// where there is none that it may enter, as login(1) does.
func workDir(home string) string {
	if info, err := os.Stat(home); err == nil && info.IsDir() && unix.Access(home, unix.X_OK) == nil {
		return home
	}
	return "/"
}

// commandDirs is where the scheduler's commands are looked for.
func commandDirs(s ipc.Batch, env []string) []string {
	if !s.SchedulerBin.IsZero() {
		return []string{s.SchedulerBin.String()}
	}
	return filepath.SplitList(value(env, "PATH"))
}

// commandEnv is the environment of the scheduler's commands. They find each other
// by PATH, and so does what they start in the job: flux batch has it run flux.
func commandEnv(env []string, s ipc.Batch) []string {
	if bin := s.SchedulerBin.String(); bin != "" {
		env = with(env, "PATH", strings.TrimSuffix(bin+":"+value(env, "PATH"), ":"))
	}
	return addEnv(env, s.EnvVars)
}

// addEnv adds the site's variables. A value may refer to those before it, as in
// PATH=/opt/slurm/bin:$PATH.
func addEnv(env []string, site []job.Env) []string {
	for _, e := range site {
		text := os.Expand(e.Value(), func(name string) string { return value(env, name) })
		env = with(env, e.Name(), text)
	}
	return env
}
