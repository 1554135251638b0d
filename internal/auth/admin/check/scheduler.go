package check

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/executors"
	"jacamar-ci/internal/job"
)

func scheduler(ctx context.Context, s Site) []Line {
	system, _ := executors.Find(string(s.Config.General.Executor))
	programs := system.Programs
	if s.Config.Batch.SlurmSacct {
		programs = slices.Concat(programs, system.Accounting)
	}
	if len(programs) == 0 {
		return nil
	}
	places := []string{"/usr/local/bin", "/usr/bin", "/bin"} // a job's own PATH
	if bin := s.Config.Batch.SchedulerBin; !bin.IsZero() {
		places = []string{bin.String()}
	}
	if missing := lacking(programs, places); len(missing) > 0 {
		return []Line{fail("install the batch system's commands, or name their directory in batch.scheduler_bin",
			"there is no %s in %s", strings.Join(missing, ", "), strings.Join(places, " or "))}
	}
	if p, err := job.ParseAbsPath(locate(places, programs[0])); err == nil { // the others are installed as it is
		if lines := s.runnable(p); len(lines) > 0 {
			return lines
		}
	}
	lines := []Line{ok("%s are in %s", strings.Join(programs, ", "), strings.Join(places, " or "))}
	return append(lines, alive(ctx, s, places, system)...)
}

// lacking are those of the names of which no directory has a program.
func lacking(names, places []string) (missing []string) {
	for _, name := range names {
		if locate(places, name) == "" {
			missing = append(missing, name)
		}
	}
	return missing
}

func locate(places []string, name string) string {
	for _, dir := range places {
		if p := path.Join(dir, name); executable(p) {
			return p
		}
	}
	return ""
}

// alive runs the scheduler's own programs. They run with the rights of this check, so
// only those that no other account could have replaced.
func alive(ctx context.Context, s Site, places []string, e executors.Executor) []Line {
	version, why := query(ctx, s, places, e.Version)
	if why != nil {
		return why
	}
	first, _, _ := strings.Cut(strings.TrimSpace(version.output), "\n")
	if first == "" {
		first = "unknown"
	}
	lines := []Line{ok("version of the scheduler: %s", job.Clip(first))}
	answer, why := query(ctx, s, places, e.Ping)
	switch {
	case why != nil:
		return append(lines, why...)
	case answer.code != 0:
		return append(lines, fail("check that the scheduler runs and that this host reaches it", "%s failed (exit code %d): %s",
			strings.Join(e.Ping, " "), answer.code, job.Clip(answer.output)))
	}
	return append(lines, ok("%s succeeded in %s", strings.Join(e.Ping, " "), answer.took.Round(time.Millisecond)))
}

type answer struct {
	output string
	code   int
	took   time.Duration
}

// pingLimit is shorter than clients wait for a controller that does not answer.
const pingLimit = 10 * time.Second

func query(ctx context.Context, s Site, places []string, argv []string) (answer, []Line) {
	program, err := job.ParseAbsPath(locate(places, argv[0]))
	if err != nil {
		return answer{}, []Line{warn("install it", "there is no %s", argv[0])}
	}
	if lines := failures(s.Trust.CheckProgram(program)); len(lines) > 0 {
		return answer{}, append(lines, Line{Result: Skip, Text: program.String() + " was not run"})
	}
	env := []string{"PATH=" + strings.Join(append(places, "/usr/bin", "/bin"), ":"), "LC_ALL=C"}
	for _, e := range s.Config.Batch.EnvVars {
		env = append(env, e.Name()+"="+e.Value())
	}
	begin := time.Now()
	r, err := subprocess.Command{Path: program.String(), Args: argv[1:], Env: env, Limit: pingLimit, MaxOutput: 1 << 20, MaxErrors: 64 << 10}.Run(ctx)
	if err != nil {
		return answer{}, []Line{fail("check that the scheduler runs and that this host reaches it", "%s: %v", strings.Join(argv, " "), err)}
	}
	output := string(r.Stdout)
	if strings.TrimSpace(output) == "" {
		output = string(r.Stderr)
	}
	return answer{output: output, code: r.Code, took: time.Since(begin)}, nil
}
