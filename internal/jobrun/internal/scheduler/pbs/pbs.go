// Package pbs says how OpenPBS, PBS Professional and Torque are spoken to: qsub,
// qstat, qselect, qsig and qdel. It is pure.
//
// References: the manual pages of OpenPBS 23.06, and what its programs printed.
package pbs

import (
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// PBS implements scheduler.Scheduler.
type PBS struct{}

// Name implements scheduler.Scheduler.
func (PBS) Name() string { return "PBS" }

// Submit implements scheduler.Scheduler. PBS keeps output on the node until the
// end and then copies it over the file that -o names. With "-k doe" it opens the
// file in its place. The job must not run twice: -r n. Without -f qsub leaves a
// process behind that submits for the user's next calls; it ends with what else
// this stage has started, perhaps while another stage's qsub waits for it. (To
// Torque -f is a job that outlives the loss of a node, which harms nobody.)
func (PBS) Submit(s scheduler.Spec, args []string) scheduler.Command {
	return scheduler.Command{Argv: append(append([]string{"qsub"}, args...),
		"-N", s.Name, "-j", "oe", "-k", "doe", "-o", s.Output, "-r", "n", "-f", s.Script)}
}

var replies = scheduler.Replies{
	ID:          scheduler.Pattern(`^([0-9]{1,12}(?:\.[A-Za-z0-9_.-]+)?)$`),
	Unreachable: scheduler.Pattern(`cannot connect to server|Connection refused|could not connect|No route to host|Unknown Host|Name or service not known`),
	Uncertain:   scheduler.Pattern(`(?i)timed out|time out|timeout|Broken pipe|End of File|Communication|Protocol|reset by peer|internal server error|Expired credential|background qsub`),
}

// ParseSubmit implements scheduler.Scheduler.
func (PBS) ParseSubmit(r scheduler.Reply) scheduler.Submission { return replies.Judge(r) }

// Queries implements scheduler.Scheduler. Job history is off in PBS unless the
// site turned it on, so the last questions often have no answer. A version
// without JSON is asked in text.
func (PBS) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	number := string(id)
	return []scheduler.Query{
		{Command: qstat("-f", "-F", "json", number), Parse: parseJSON},
		{Command: qstat("-f", number), Parse: parseText},
		{Command: qstat("-x", "-f", "-F", "json", number), Parse: parseJSON},
		{Command: qstat("-x", "-f", number), Parse: parseHistory},
	}
}

// Cancel implements scheduler.Scheduler.
func (PBS) Cancel(id scheduler.ID) scheduler.Command { return command("qdel", string(id)) }

// Signal implements scheduler.Signaller; qsig(1B) reaches every process of the
// job.
func (PBS) Signal(id scheduler.ID) scheduler.Command {
	return command("qsig", "-s", "SIGTERM", string(id))
}

// Find implements scheduler.Finder.
func (PBS) Find(user, name string) scheduler.Command {
	list := command("qselect", "-u", user)
	if name != "" {
		list.Argv = append(list.Argv, "-N", name)
	}
	return list
}

// Advice implements scheduler.Adviser.
func (PBS) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{
		scheduler.TimeLimit: "-l walltime=2:00:00", scheduler.MemoryLimit: "-l select=1:mem=8gb",
	}[c]
}

func qstat(args ...string) scheduler.Command { return command("qstat", args...) }

func command(program string, args ...string) scheduler.Command {
	return scheduler.Command{Argv: append([]string{program}, args...), Env: []string{"LC_ALL=C"}}
}

// Grammar implements scheduler.Scheduler: qsub(1B) of OpenPBS 23.06, which has
// letters only, and Torque's -d, -t and the like.
func (PBS) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, "a/a A/A c/c C/C l/l m/m M/M p/p P/P q/q R/R S/S u/u W/W b/b w/w T/T D/D")
	g.Add(scheduler.None, "h/h V/V f/f F/F n/n x/x")
	g.Add(scheduler.Required, "v/v")
	g.Reserve(scheduler.Required, "e/e j/j J/J k/k N/N o/o r/r t/t d/d")
	g.Reserve(scheduler.None, "I/I X/X z/z G/G version")
	return g
}
