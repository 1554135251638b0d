package check

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// batchSystem is what the check needs of a batch system: the programs that its
// executor calls, a command that prints its version and one that succeeds only while
// its controller runs.
type batchSystem struct {
	programs      []string
	version, ping []string
}

var batchSystems = map[settings.Executor]batchSystem{
	settings.Cobalt: {[]string{"qsub", "qstat", "qdel"}, []string{"qstat", "--version"}, []string{"qstat"}},
	settings.Flux:   {[]string{"flux"}, []string{"flux", "version"}, []string{"flux", "uptime"}},
	settings.LSF:    {[]string{"bsub", "bjobs", "bhist", "bkill"}, []string{"bjobs", "-V"}, []string{"bqueues"}},
	settings.PBS:    {[]string{"qsub", "qstat", "qselect", "qsig", "qdel"}, []string{"qstat", "--version"}, []string{"qstat", "-B"}},
	settings.SGE:    {[]string{"qsub", "qstat", "qacct", "qdel"}, []string{"qstat", "-help"}, []string{"qstat"}},
	settings.Slurm:  {[]string{"sbatch", "squeue", "scontrol", "scancel"}, []string{"sbatch", "--version"}, []string{"scontrol", "ping"}},
}

func scheduler(ctx context.Context, s Site) []Line {
	system, known := batchSystems[s.Config.General.Executor]
	if !known {
		return nil
	}
	if s.Config.Batch.SlurmSacct && s.Config.General.Executor == settings.Slurm {
		system.programs = append(slices.Clone(system.programs), "sacct")
	}
	places := []string{"/usr/bin", "/bin"}
	if bin := s.Config.Batch.SchedulerBin; !bin.IsZero() {
		places = []string{bin.String()}
	}
	var lines []Line
	for _, name := range system.programs {
		if locate(places, name) == "" {
			lines = append(lines, fail("install it, or name its directory in batch.scheduler_bin", "there is no %s in %s", name, strings.Join(places, " or ")))
		}
	}
	if len(lines) > 0 {
		return lines
	}
	lines = []Line{ok("%s are in %s", strings.Join(system.programs, ", "), strings.Join(places, " or "))}
	return append(lines, alive(ctx, s, places, system)...)
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
func alive(ctx context.Context, s Site, places []string, b batchSystem) []Line {
	version, why := query(ctx, s, places, b.version)
	if why != nil {
		return why
	}
	first, _, _ := strings.Cut(strings.TrimSpace(version.output), "\n")
	if first == "" {
		first = "unknown"
	}
	lines := []Line{ok("version of the scheduler: %s", job.Clip(first))}
	answer, why := query(ctx, s, places, b.ping)
	switch {
	case why != nil:
		return append(lines, why...)
	case answer.code != 0:
		return append(lines, fail("check that the scheduler runs and that this host reaches it", "%s failed (exit code %d): %s",
			strings.Join(b.ping, " "), answer.code, job.Clip(answer.output)))
	}
	return append(lines, ok("%s succeeded in %s", strings.Join(b.ping, " "), answer.took.Round(time.Millisecond)))
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
		return answer{}, append(lines, warn("correct that and check again", "%s was not run", program))
	}
	env := []string{"PATH=" + strings.Join(append(places, "/usr/bin", "/bin"), ":"), "LC_ALL=C"}
	for _, e := range s.Config.Batch.EnvVars {
		env = append(env, e.Name()+"="+e.Value())
	}
	begin := time.Now()
	r, err := subprocess.Command{Path: program.String(), Args: argv[1:], Env: env, Limit: pingLimit, MaxOutput: 1 << 20, MaxErrors: 64 << 10}.Run(ctx)
	if err == nil && r.Signal != 0 {
		err = fmt.Errorf("ended by signal %d", int(r.Signal))
	}
	if err != nil {
		return answer{}, []Line{fail("check that the scheduler runs and that this host reaches it", "%s: %v", strings.Join(argv, " "), err)}
	}
	output := string(r.Stdout)
	if strings.TrimSpace(output) == "" {
		output = string(r.Stderr)
	}
	return answer{output: output, code: r.Code, took: time.Since(begin)}, nil
}
