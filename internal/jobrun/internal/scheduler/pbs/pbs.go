// Package pbs says how OpenPBS, PBS Professional and Torque are spoken to: qsub,
// qstat, qselect, qsig and qdel. It is pure.
//
// References: the manual pages of OpenPBS 23.06, and what its programs printed; the
// sources of OpenPBS 14.1 to 23.06 and of Torque 2.5 to 6.1. No Torque was asked.
package pbs

import (
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// PBS implements scheduler.Scheduler. The zero value is a PBS of which nothing is
// known.
type PBS struct{ kind kind }

type kind uint8

const (
	unknown kind = iota
	// direct is an OpenPBS or PBS Professional since 18.1, whose nodes can write a
	// job's output to its file while the job runs.
	direct
	torque
)

// Name implements scheduler.Scheduler.
func (PBS) Name() string { return "PBS" }

// Version implements scheduler.Versioned.
func (PBS) Version() scheduler.Command { return command("qsub", "--version") }

var (
	// openPBS is printed by OpenPBS (src/include/pbs_version.h.in); the commercial
	// versions before 14 have a name before the number.
	openPBS = scheduler.Pattern(`(?m)^pbs_version = ([0-9]{2,4})\.`)
	// torqueVersion is printed by Torque, on its error output
	// (src/cmds/qsub_functions.c).
	torqueVersion = scheduler.Pattern(`(?m)^[Vv]ersion: [0-9]`)
)

// Of implements scheduler.Versioned.
func (PBS) Of(r scheduler.Reply) scheduler.Scheduler {
	m := openPBS().FindStringSubmatch(r.Stdout)
	switch {
	case r.Err != nil || r.Code != 0:
		return PBS{}
	case m != nil && m[1] >= "18": // 14, 18, 19, 2020, 22, 23
		return PBS{kind: direct}
	case torqueVersion().MatchString(r.Stderr):
		return PBS{kind: torque}
	}
	return PBS{}
}

// Submit implements scheduler.Scheduler. PBS keeps output on the node until the
// end and then copies it over the file that -o names. With "-k doe" it opens the
// file in its place, where it can; elsewhere there must be nothing to copy, and the
// job writes its log by itself. The job must not run twice: -r n. Without -f the
// qsub of PBS leaves a process behind that submits for the user's next calls; it
// ends with what else this stage has started, perhaps while another stage's qsub
// waits for it. To Torque -f is something else.
func (p PBS) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := append(append([]string{"qsub"}, args...), "-N", s.Name, "-j", "oe", "-r", "n")
	if p.kind != torque {
		argv = append(argv, "-f")
	}
	if p.kind == direct && plain(s.Output) {
		argv = append(argv, "-k", "doe", "-o", s.Output)
	} else {
		argv = append(argv, "-o", "/dev/null")
	}
	return scheduler.Command{Argv: append(argv, s.Script)}
}

// plain reports whether PBS takes a path as it stands. It refuses what is not
// printable ASCII (src/lib/Libcmds/prepare_path.c), takes what stands before a
// colon for a host, and replaces "^array_index^" and a backslash before a comma.
func plain(path string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return strings.Trim(path, letters+"/._+-@=~%") == ""
}

// Queries implements scheduler.Scheduler. Job history is off in PBS unless the
// site turned it on, so the last questions often have no answer. A version
// without JSON is asked in text.
func (p PBS) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	number := string(id)
	if p.kind == torque { // its -x is for XML
		return []scheduler.Query{{Command: qstat("-f", number), Parse: parseText}}
	}
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

// Find implements scheduler.Finder. The list of users has commas, and hosts behind
// "@": an account with these in its name cannot be asked for, and name and owner are
// looked at in the job itself.
func (PBS) Find(user, name string) scheduler.Command {
	list := command("qselect")
	if !strings.ContainsAny(user, "@,") {
		list.Argv = append(list.Argv, "-u", user)
	}
	if name != "" {
		list.Argv = append(list.Argv, "-N", name)
	}
	return list
}

// Owner implements scheduler.Owned.
func (PBS) Owner(id scheduler.ID) scheduler.Command { return qstat("-f", string(id)) }

// ParseOwner implements scheduler.Owned; the owner stands before the last "@".
func (PBS) ParseOwner(r scheduler.Reply) (user, name string) {
	a, ok := readText(r)
	if !ok {
		return "", ""
	}
	user = a["Job_Owner"]
	return user[:max(strings.LastIndexByte(user, '@'), 0)], a["Job_Name"]
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
// letters only, and that of Torque 6.1, in which -F takes the script's arguments.
func (p PBS) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, "a/a A/A c/c C/C l/l m/m M/M p/p P/P q/q R/R S/S u/u v/v W/W b/b T/T D/D i/i K/K L/L")
	g.Add(scheduler.None, "h/h V/V f/f n/n x/x")
	if p.kind == torque {
		g.Add(scheduler.Required, "F/F")
	} else {
		g.Add(scheduler.None, "F/F")
	}
	g.Reserve(scheduler.Required, "e/e j/j J/J k/k N/N o/o r/r t/t d/d w/w")
	g.Reserve(scheduler.None, "I/I X/X z/z G/G version")
	return g
}
