package executor

import (
	"slices"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/imagestore"
)

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
