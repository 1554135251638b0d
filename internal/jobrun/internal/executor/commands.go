package executor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

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

// with is the environment with one variable set.
func with(env []string, name, value string) []string {
	rest := slices.DeleteFunc(slices.Clone(env), func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	return append(rest, name+"="+value)
}

func value(env []string, name string) string {
	for _, pair := range env {
		if v, ok := strings.CutPrefix(pair, name+"="); ok {
			return v
		}
	}
	return ""
}
