package executor

import (
	"context"
	"os"
	"slices"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/engines"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/imagestore"
	"jacamar-ci/internal/jobrun/internal/process"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// engineDirs are searched for engines and for what these run.
var engineDirs = []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"}

// Engine is the site's container engine, with the programs that it needs.
type Engine struct {
	container.Engine
	// Program is the engine's own program.
	Program string
	account job.Account
}

// FindEngine finds the engine of a request with Settings.Container, and every program that it
// needs.
func FindEngine(b ipc.Request) (Engine, error) {
	c := b.Settings.Container
	e := Engine{Engine: engines.Find(c.Mechanism, c.CacheForm), account: b.Account}
	if e.Engine == nil {
		return e, failure.Systemf("this jacamar has no container engine %q", c.Mechanism).
			WithHint("install jacamar and jacamar-auth from one package")
	}
	names := e.Programs(e.Formats()[0])
	if e.Program = c.Engine.ApplicationPath.String(); e.Program == "" {
		e.Program = names[0]
	}
	needed := append(append([]string{e.Program}, names[1:]...), container.Cell{}.Programs()...)
	if err := CheckPrograms(needed); err != nil {
		return e, failure.Systemf("cannot use run_mechanism %q: %w", c.Mechanism, err).
			WithHint("the resource's administrators install the program, or set general.%s.application_path", c.Mechanism)
	}
	return e, nil
}

// CheckPrograms returns an error for the first program that containers need and that this
// host does not have.
func CheckPrograms(names []string) error { return batch.Programs{Dirs: engineDirs}.Missing(names) }

// environ is the environment of a command: nothing of a caller's or of a profile's.
func (e Engine) environ(home string, more []string) []string {
	return append([]string{
		"PATH=" + strings.Join(engineDirs, ":"), "HOME=" + home, "USER=" + e.account.Name.String(), "LOGNAME=" + e.account.Name.String(),
	}, more...)
}

// Commander runs the engine's commands as children of the reaper. They have the account's
// home, where its own logins for registries are.
func (e Engine) Commander(reaper *process.Reaper) imagestore.Commander {
	return func(ctx context.Context, c container.Command, files []*os.File) container.Reply {
		p := batch.Programs{Reaper: reaper, Dirs: engineDirs, Env: e.environ(e.account.Home.String(), c.Env), Dir: "/", Files: files}
		return p.Run(ctx, scheduler.Command{Argv: c.Argv})
	}
}

// hostAccount are the ids of the account on this host.
func (e Engine) hostAccount() container.Account {
	return container.Account{UID: uint32(e.account.UID), GID: uint32(e.account.GID)}
}

// longestName is how much of a process's name the kernel keeps, in bytes (TASK_COMM_LEN).
const longestName = 15

// helperNames are the names, as the kernel keeps them, of the processes that serve a
// running container.
func (e Engine) helperNames() []string {
	names := append(e.Helpers(), container.Cell{}.Helpers()...)
	for i, name := range names {
		names[i] = job.Cut(name, longestName)
	}
	return names
}

// launcherVariables are those in which batch systems, launchers of MPI and drivers of
// devices describe the resources of a job: containers on a node have them.
var launcherVariables = []string{
	"SLURM_*", "SLURMD_*", "PBS_*", "LSB_*", "SGE_*", "FLUX_*", "COBALT_*", "JOB_*", "PMI_*", "PMIX_*", "OMPI_*", "CUDA_*", "ROCR_*", "GPU_*", "OMP_*",
}

// Containerize makes a submission run its script in a container on the node.
func Containerize(t batch.Task, b ipc.Request, settled container.Settled) (batch.Task, error) {
	engine, err := FindEngine(b)
	if err != nil {
		return t, err
	}
	c := b.Settings.Container
	state, err := imagestore.StatePath(c.TempDir)
	if err != nil {
		return t, err
	}
	node := container.Node{
		Engine: engine, Settled: settled, Dirs: engineDirs, User: b.Account.Name.String(), WorkDir: b.Dirs.Builds.String(), Stage: stageName(b),
		Session: container.Session{State: state, Account: engine.hostAccount(), Program: engine.Program},
		Wires:   container.Files(t.Directory(), batch.ScriptFile, batch.MarksFile),
		PassEnv: launcherVariables,
	}
	names := slices.Clone(c.PassEnv)
	for _, m := range c.Modules {
		names = append(names, m.PassEnv...)
	}
	for _, n := range names {
		node.PassEnv = append(node.PassEnv, string(n))
	}
	t.Payload = &batch.Payload{Text: node.Text(), State: state.String(), Helpers: engine.helperNames(), Outcome: node.Outcome}
	return t, nil
}
