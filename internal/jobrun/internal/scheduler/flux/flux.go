// Package flux says how Flux is spoken to: flux batch, flux jobs, flux job kill
// and flux cancel of Flux 0.60 and newer. It is pure.
//
// References: the manual pages of flux-core 0.88, and what its programs printed.
package flux

import (
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Flux implements scheduler.Scheduler.
type Flux struct{}

// Name implements scheduler.Scheduler.
func (Flux) Name() string { return "Flux" }

// Submit implements scheduler.Scheduler. The job is a Flux instance of its own,
// so that the script can use all of its allocation with flux run; flux batch
// wants to be told a size, and one slot is the least. Flux empties the file that
// --output names when the job starts, and writes it by itself: the job's log is
// none of its business.
func (f Flux) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := []string{"flux", "batch"}
	if !f.Grammar().Gives(args, "nslots", "nodes") {
		argv = append(argv, "--nslots=1")
	}
	return command(append(append(argv, args...),
		"--job-name="+s.Name, "--output=/dev/null", "--error=/dev/null", "--cwd="+s.Dir, s.Script)...)
}

// ascii is the id as every terminal and every locale can write it.
func ascii(id scheduler.ID) scheduler.ID {
	return scheduler.ID(strings.Replace(string(id), "ƒ", "f", 1))
}

// format asks for what flux-jobs(1) knows of a job; the note is last since only
// it may hold a bar.
const format = "{id}|{name}|{state}|{result}|{returncode}|{exception.type}|{urgency}|{t_run}|{annotations.sched.t_estimate}|{nodelist}|{dependencies}|{exception.note}"

// Queries implements scheduler.Scheduler.
func (Flux) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{{Command: command("flux", "jobs", "-no", format, string(id)), Parse: parseJob}}
}

// Cancel implements scheduler.Scheduler.
func (Flux) Cancel(id scheduler.ID) scheduler.Command { return command("flux", "cancel", string(id)) }

// Signal implements scheduler.Signaller.
func (Flux) Signal(id scheduler.ID) scheduler.Command {
	return command("flux", "job", "kill", "-s", "TERM", string(id))
}

// Find implements scheduler.Finder.
func (Flux) Find(user, name string) scheduler.Command {
	argv := []string{"flux", "jobs", "-a", "-u", user, "-no", format}
	if name != "" {
		argv = append(argv, "--name="+name)
	}
	return command(argv...)
}

// Advice implements scheduler.Adviser.
func (Flux) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{scheduler.TimeLimit: "--time-limit=2h"}[c]
}

func command(argv ...string) scheduler.Command {
	return scheduler.Command{Argv: argv, Env: []string{"FLUX_F58_FORCE_ASCII=1", "PYTHONIOENCODING=utf-8"}}
}

// Grammar implements scheduler.Scheduler: flux-batch(1) of flux-core 0.88.
func (Flux) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, `nslots/n cores-per-slot/c gpus-per-slot/g nodes/N time-limit/t bank/B queue/q urgency dependency
		begin-time setopt/o setattr/S env env-remove env-file rlimit requires conf broker-opts/O add-file flags
		signal bg-wait taskmap input add-brokers`)
	g.Add(scheduler.None, "exclusive/x unbuffered/u label-io/l quiet")
	g.Add(scheduler.Optional, "dump")
	g.Reserve(scheduler.Required, "job-name output error cwd cc bcc")
	g.Reserve(scheduler.None, "help/h wrap dry-run list-plugins")
	return g
}
