package briefing

import (
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

// customBuilds is the CI variable by which a job says where its builds are, and
// longestPath what is carried of a path, in bytes: more than jacamar accepts, so
// that one which is too long is seen to be.
const (
	customBuilds = "CUSTOM_CI_BUILDS_DIR"
	longestPath  = 8 << 10
)

// storage is what is told about directories. What the job asks for is only
// carried: it is judged, and used, as the job's user.
func storage(g config.General, env customexec.Environ) ipc.Storage {
	return ipc.Storage{
		VariableDataDir: g.VariableDataDir, GroupPermissions: g.GroupPermissions,
		LimitBuildDir: g.LimitBuildDir, MaxBuildDir: g.MaxBuildDir, UncapCleanup: g.UncapBuildDirCleanup, FileLockDebug: g.FileLockDebug,
		StaticBuildsDir: g.StaticBuildsDir, StaticBuildsDays: g.StaticBuildsDays,
		CustomBuildDir: g.CustomBuildDir, CustomBuilds: carried(env, customBuilds, longestPath),
	}
}

func carried(env customexec.Environ, variable string, limit int) []byte {
	text, _ := env.Variable(variable)
	if text == "" {
		return nil
	}
	return []byte(job.Cut(text, limit))
}
