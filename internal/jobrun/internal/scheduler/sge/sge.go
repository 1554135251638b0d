// Package sge says how Grid Engine is spoken to: qsub, qstat, qacct and qdel of
// Sun, Son of and Univa Grid Engine. It is pure.
//
// References: the manual pages of Grid Engine 8.1.9, and what its programs
// printed (testdata).
package sge

import (
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// SGE implements scheduler.Scheduler.
type SGE struct{}

// Name implements scheduler.Scheduler.
func (SGE) Name() string { return "Grid Engine" }

// Submit implements scheduler.Scheduler. A queue may run scripts with a shell of
// its own choice, which "-b y -shell n" prevents; a path before which no colon
// stands could be taken for a host. "-w e" has a request that no queue can ever
// serve refused; it comes first, so that a job may say otherwise.
func (SGE) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := append([]string{"qsub", "-w", "e"}, args...)
	return scheduler.Command{Argv: append(argv, "-terse", "-b", "y", "-shell", "n", "-r", "n", "-j", "y",
		"-N", s.Name, "-o", output(s.Output), "-wd", variables.Replace(s.Dir), s.Script)}
}

// variables keeps Grid Engine from reading a dollar sign as the begin of one of its
// variables ($HOME, $USER, ... of qsub(1); source/daemons/execd/get_path.c).
var variables = strings.NewReplacer("$", "$$")

// output is the value of -o, a list with hosts before colons. A path with a comma
// cannot be in it; then the job writes its log by itself.
func output(path string) string {
	if strings.Contains(path, ",") {
		return ":/dev/null"
	}
	return ":" + variables.Replace(path)
}

// Queries implements scheduler.Scheduler: the user's queued and running jobs,
// then the accounting file, which every Grid Engine writes, some seconds late.
func (SGE) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{
		{Command: command("qstat", "-xml"), Parse: func(r scheduler.Reply) scheduler.State { return parseQueue(r, id) }},
		{Command: command("qacct", "-j", string(id)), Parse: parseAccounting},
	}
}

// Cancel implements scheduler.Scheduler. Grid Engine kills at once; it has no
// way to send another signal.
func (SGE) Cancel(id scheduler.ID) scheduler.Command { return command("qdel", string(id)) }

// CancelName implements scheduler.NameCanceller.
func (SGE) CancelName(user, name string) scheduler.Command {
	return command("qdel", "-u", user, name)
}

// Find implements scheduler.Finder.
func (SGE) Find(user, _ string) scheduler.Command { return command("qstat", "-xml", "-u", user) }

// Usage implements scheduler.Accountant.
func (SGE) Usage(id scheduler.ID) scheduler.Command { return command("qacct", "-j", string(id)) }

// Advice implements scheduler.Adviser.
func (SGE) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{scheduler.TimeLimit: "-l h_rt=2:00:00", scheduler.MemoryLimit: "-l h_vmem=8G"}[c]
}

// Limits implements scheduler.Limited.
func (SGE) Limits() string {
	return "Grid Engine cannot tell a script to end: when this CI job is cancelled, the script is killed at once"
}

func command(program string, args ...string) scheduler.Command {
	return scheduler.Command{Argv: append([]string{program}, args...), Env: []string{"LC_ALL=C"}}
}

// Grammar implements scheduler.Scheduler: qsub(1) of Grid Engine 8.1.9 and of
// Univa Grid Engine 8.6.
func (SGE) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Words(1, "a ac ar A binding c ckpt ct dc dl hold_jid hold_jid_ad js jc jsv l m M masterq mods now P p q R S u v w xd par mbind masterl rou umask adds clearp clears clone C sc")
	g.Words(0, "cwd h hard soft notify V")
	g.Words(2, "pe")
	g.ReserveWords(1, "b e j N o pty r shell sync t tc tcon wd @")
	g.ReserveWords(0, "terse help clear verify")
	g.Words(1, "i")
	return g
}
