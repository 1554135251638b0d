// Package slurm says how Slurm is spoken to: sbatch, squeue, scontrol, sacct
// and scancel of Slurm 20.11 and newer. It is pure.
package slurm

import (
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Slurm implements scheduler.Scheduler and all its optional abilities.
type Slurm struct{}

// Name implements scheduler.Scheduler.
func (Slurm) Name() string { return "Slurm" }

// Grammar implements scheduler.Scheduler.
func (Slurm) Grammar() scheduler.Grammar { return grammar() }

// Submit implements scheduler.Scheduler. A CI job must never run twice, hence
// --no-requeue; --open-mode=append keeps what the log has should it run again
// all the same.
func (Slurm) Submit(s scheduler.Spec, args []string) scheduler.Command {
	return scheduler.Command{Argv: append(append([]string{"sbatch"}, args...), "--parsable", "--no-requeue", "--job-name="+s.Name,
		"--output="+output(s.Output), "--open-mode=append", "--chdir="+s.Dir, s.Script)}
}

// output is the file name pattern for a path. A percent sign is written twice. Of
// a path with a backslash Slurm takes every backslash away, some versions also
// where two stand together (src/slurmd/common/fname.c, src/common/print_fields.c):
// it has no pattern, and the job writes its log by itself.
func output(path string) string {
	if strings.Contains(path, `\`) {
		return "/dev/null"
	}
	return strings.ReplaceAll(path, "%", "%%")
}

// Queries implements scheduler.Scheduler: squeue knows what is queued, scontrol
// what ended in the last minutes (MinJobAge), sacct the rest.
func (Slurm) Queries(id scheduler.ID, accounting bool) []scheduler.Query {
	number, cluster := split(id)
	ladder := []scheduler.Query{
		{Command: command("squeue", cluster, "-h", "-t", "all", "-j", number, "-o", "%T|%S|%N|%r"), Parse: parseQueue},
		{Command: command("scontrol", cluster, "-o", "show", "job", number), Parse: parseControl},
	}
	if accounting {
		sacct := command("sacct", cluster, "-X", "-n", "-P", "-j", number, "-o", "state,exitcode,start,nodelist")
		ladder = append(ladder, scheduler.Query{Command: sacct, Parse: parseAccounting})
	}
	return ladder
}

// Cancel implements scheduler.Scheduler.
func (Slurm) Cancel(id scheduler.ID) scheduler.Command {
	number, cluster := split(id)
	return command("scancel", cluster, number)
}

// CancelName implements scheduler.NameCanceller.
func (Slurm) CancelName(user, name string) scheduler.Command {
	return command("scancel", "", "-u", user, "-n", name)
}

// Signal implements scheduler.Signaller. Without --full the signal would reach
// the steps only, not the script.
func (Slurm) Signal(id scheduler.ID) scheduler.Command {
	number, cluster := split(id)
	return command("scancel", cluster, "--full", "-s", "TERM", number)
}

// Advice implements scheduler.Adviser.
func (Slurm) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{
		scheduler.TimeLimit: "--time=2:00:00", scheduler.MemoryLimit: "--mem=8G", scheduler.Deadline: "--deadline=now+2hours",
	}[c]
}

// Find implements scheduler.Finder.
func (Slurm) Find(user, name string) scheduler.Command {
	list := command("squeue", "", "-h", "-u", user, "-o", "%i|%j|%T|%S|%N|%r")
	if name != "" {
		list.Argv = append(list.Argv, "-n", name, "-t", "all")
	}
	return list
}

// Usage implements scheduler.Accountant.
func (Slurm) Usage(id scheduler.ID) scheduler.Command {
	number, cluster := split(id)
	return command("sacct", cluster, "-n", "-P", "-j", number, "-o", "jobid,elapsedraw,totalcpu,alloccpus,maxrss,nodelist")
}

// split takes "12;cluster" apart, sbatch's answer in a federation.
func split(id scheduler.ID) (number, cluster string) {
	number, cluster, _ = strings.Cut(string(id), ";")
	return number, cluster
}

// command makes a query's command. Dates are asked for as seconds since 1970, so
// that no time zone has to be guessed (squeue(1), SLURM_TIME_FORMAT).
func command(program, cluster string, args ...string) scheduler.Command {
	argv := []string{program}
	if cluster != "" {
		argv = append(argv, "-M", cluster)
	}
	return scheduler.Command{Argv: append(argv, args...), Env: []string{"SLURM_TIME_FORMAT=%s", "LC_ALL=C"}}
}
