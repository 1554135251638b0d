// Package pbs builds the commands of OpenPBS, PBS Professional and Torque (qsub, qstat,
// qselect, qsig, qdel) and parses their output. It is pure.
//
// References: the manual pages of OpenPBS 23.06, and recorded output of its programs; the
// sources of OpenPBS 14.1 to 23.06 and of Torque 2.5 to 6.1. Not tested against a live
// Torque.
package pbs

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// PBS implements scheduler.Scheduler. The zero value is a PBS of unknown version.
type PBS struct{ variant variant }

type variant uint8

const (
	// direct is an OpenPBS or PBS Professional since 18.1, whose nodes can write a
	// job's output to its file while the job runs.
	direct variant = iota + 1
	torque
)

// Name implements scheduler.Scheduler.
func (PBS) Name() string { return "PBS" }

// Version implements scheduler.Versioned.
func (PBS) Version() scheduler.Command { return scheduler.NewCommand("qsub", "--version") }

var (
	// openPBS is printed by OpenPBS (src/include/pbs_version.h.in); the commercial
	// versions before 14 have a name before the number.
	openPBS = scheduler.Pattern(`(?m)^pbs_version = ([0-9]{2,4})\.`)
	// torqueVersion is printed by Torque, on its error output
	// (src/cmds/qsub_functions.c).
	torqueVersion = scheduler.Pattern(`(?m)^[Vv]ersion: [0-9]`)
)

// ForVersion implements scheduler.Versioned.
func (PBS) ForVersion(r scheduler.Reply) scheduler.Scheduler {
	m := openPBS().FindStringSubmatch(r.Stdout)
	switch {
	case r.Err != nil || r.Code != 0:
		return PBS{}
	case m != nil && m[1] >= "18": // 14, 18, 19, 2020, 22, 23
		return PBS{variant: direct}
	case torqueVersion().MatchString(r.Stderr):
		return PBS{variant: torque}
	}
	return PBS{}
}

// Submit implements scheduler.Scheduler. PBS keeps output on the node until the end and
// then copies it over the file that -o names. With "-k doe" it writes the file directly,
// where it can; elsewhere there must be nothing to copy, and the job writes its log
// itself. The job must not run twice: -r n. Without -f the qsub of PBS leaves a process
// behind that submits for the user's next calls; that process would end with this stage,
// perhaps while the qsub of another stage waits for it. In Torque -f has another meaning.
func (p PBS) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := append(append([]string{"qsub"}, args...), "-N", s.Name, "-j", "oe", "-r", "n")
	if p.variant != torque {
		argv = append(argv, "-f")
	}
	if p.variant == direct && isPlainPath(s.Output) {
		argv = append(argv, "-k", "doe", "-o", s.Output)
	} else {
		argv = append(argv, "-o", "/dev/null")
	}
	return scheduler.Command{Argv: append(argv, s.Script)}
}

// isPlainPath reports whether PBS uses a path unchanged. It rejects characters other than
// printable ASCII (src/lib/Libcmds/prepare_path.c), takes the part before a colon for a
// host, and replaces "^array_index^" and a backslash before a comma.
func isPlainPath(path string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return strings.Trim(path, letters+"/._+-@=~%") == ""
}

// Queries implements scheduler.Scheduler. Job history is off in PBS by default, so the
// last queries often show nothing. The queries in text are for versions without JSON.
func (p PBS) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	number := string(id)
	if p.variant == torque { // its -x is for XML
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
func (PBS) Cancel(id scheduler.ID) scheduler.Command { return scheduler.NewCommand("qdel", string(id)) }

// Signal implements scheduler.Signaller; qsig(1B) reaches every process of the
// job.
func (PBS) Signal(id scheduler.ID) scheduler.Command {
	return scheduler.NewCommand("qsig", "-s", "SIGTERM", string(id))
}

// Find implements scheduler.Finder. In the list of users, commas separate and "@" precedes
// a host: an account with these characters in its name cannot be selected, and the owner
// of each job is checked instead.
func (PBS) Find(user, name string) scheduler.Command {
	list := scheduler.NewCommand("qselect")
	if !strings.ContainsAny(user, "@,") {
		list.Argv = append(list.Argv, "-u", user)
	}
	if name != "" {
		list.Argv = append(list.Argv, "-N", name)
	}
	return list
}

// Owner implements scheduler.OwnerFinder.
func (PBS) Owner(id scheduler.ID) scheduler.Command { return qstat("-f", string(id)) }

// ParseOwner implements scheduler.OwnerFinder; the owner precedes the last "@".
func (PBS) ParseOwner(r scheduler.Reply) (user, name string, err error) {
	_, answered := absent(r)
	if r.Err != nil || answered {
		return "", "", r.Err
	}
	a, ok := readText(r)
	if !ok {
		return "", "", fmt.Errorf("the owner of a job is not known (%s)", scheduler.MessageOf(r).Lead)
	}
	user = a["Job_Owner"]
	return user[:max(strings.LastIndexByte(user, '@'), 0)], a["Job_Name"], nil
}

// Advice implements scheduler.Hinter.
func (PBS) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{
		scheduler.TimeLimit: "-l walltime=2:00:00", scheduler.MemoryLimit: "-l select=1:mem=8gb",
	}[c]
}

func qstat(args ...string) scheduler.Command { return scheduler.NewCommand("qstat", args...) }

// Grammar implements scheduler.Scheduler: qsub(1B) of OpenPBS 23.06, which has
// short options only, and that of Torque 6.1, in which -F takes the script's arguments.
func (p PBS) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, "a/a A/A c/c C/C l/l m/m M/M p/p P/P q/q R/R S/S u/u v/v W/W b/b T/T D/D i/i K/K L/L")
	g.Add(scheduler.None, "h/h V/V f/f n/n x/x")
	if p.variant == torque {
		g.Add(scheduler.Required, "F/F")
	} else {
		g.Add(scheduler.None, "F/F")
	}
	g.Reserve(scheduler.Required, "e/e j/j J/J k/k N/N o/o r/r t/t d/d w/w")
	g.Reserve(scheduler.None, "I/I X/X z/z G/G version")
	return g
}

// submitPatterns match the output of qsub. OpenPBS prints "qsub: X" and returns the error
// number modulo 256 (src/cmds/qsub.c); X is a text of src/lib/Liblog/pbs_messages.c, of
// src/lib/Libdis/dis.c, or of a hook. Torque prints "qsub: submit error (X)", with details
// after MSG= (src/cmds/qsub_functions.c, src/include/pbs_error_db.h).
func submitPatterns() scheduler.SubmitPatterns {
	return scheduler.SubmitPatterns{
		ID:         scheduler.Pattern(`^([0-9]{1,12}(?:\.[A-Za-z0-9_.-]+)?)$`),
		Error:      scheduler.Pattern(`^qsub: (.*)$`),
		FirstError: true,
		Unreachable: scheduler.Sentences(
			`cannot connect to server \S* ?\(errno=-?[0-9]+\).*`,
			torqueError(`Could not connect to batch server|Can not establish connection|could not connect to trqauthd|Could not resolve host name|Unable to get connection to socket|No server specified`),
			torqueError(`Pbs Server is currently too busy to service this request\. Please retry this request\.|Client connection not found\..*`),
			`Request not allowed: Server shutting down`, torqueError(`Request not allowed: Server shutting down`),
			`No free connections`, `Server connection table full`,
		),
		Full: scheduler.Sentences(
			`Maximum number of jobs (?:in 'Q' state )?(?:for (?:user|group|project) \S+ )?already in (?:complex|queue(?: \S+)?)`,
			`would exceed (?:complex's|queue \S+'s) per-(?:user|group|project) limit(?: of jobs in 'Q' state)?`,
			`would exceed (?:(?:per-)?(?:user|group|project)(?: \S+'s)? )?limit on resource \S+ in (?:complex|queue \S+)(?: for jobs in 'Q' state)?`,
			torqueError(`Maximum number of jobs already in queue(?: for user)?`),
		),
		Uncertain: scheduler.Sentences(
			`End of File`, `Premature end of message`, `(?:Supporting )?[Pp]rotocol failure(?: in commit)?`, `Batch protocol error`, `Bad DIS based Request Protocol`,
			`PBS server internal error`, `System error: ?`, `Expired credential`, `Error \([0-9]+\) submitting job`, `Error -?[0-9]+`,
			torqueError(`Time out|Premature End of File|Error in socket select|Error (?:writing|reading) data (?:to|from) socket|Socket close detected|Batch protocol error|Bad DIS based Request Protocol|PBS server internal error| ?System error: ?|Expired credential`),
			`Error \([0-9]+ - .*\) submitting job`,
		),
	}
}

// torqueError matches Torque's message for one of the errors.
func torqueError(texts string) string { return `submit error \((?:` + texts + `)(?: MSG=.*)?\)` }

// hookCodes are the exit statuses for PBSE_HOOKERROR and PBSE_HOOK_REJECT
// (src/include/pbs_error.h): then the text is a hook's.
var hookCodes = map[int]bool{(15136 & 0xff): true, (15169 & 0xff): true}

// ParseSubmit implements scheduler.Scheduler.
func (PBS) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := submitPatterns().Classify(r)
	if r.Err == nil && hookCodes[r.Code] && s.Error != "" {
		s.Outcome = scheduler.Refused
	}
	return s
}

var (
	// unknownJob is printed for a job that has ended, too (PBSE_UNKJOBID,
	// PBSE_HISTJOBID).
	unknownJob = scheduler.Pattern(`Unknown Job Id|Job has finished|Invalid Job Id|not configured to maintain job history`)
	// noJSON is printed by versions whose qstat does not support JSON.
	noJSON = scheduler.Pattern(`(?i)invalid option|illegal option|usage:|conflicting options`)
)

// attributes are a job's attributes, by the names that qstat -f prints.
type attributes map[string]string

// parseJSON parses {"Jobs": {"12.server": {...}}}. qstat prints the outer object also
// when there is no such job.
func parseJSON(r scheduler.Reply) scheduler.State {
	if s, answered := absent(r); answered {
		return s
	}
	if r.Err == nil && r.Code != 0 && noJSON().MatchString(r.Stderr) {
		return scheduler.State{Missing: true} // the next query is the same in text
	}
	var list struct{ Jobs map[string]map[string]any }
	err := json.Unmarshal([]byte(r.Stdout), &list)
	if r.Err != nil || r.Code != 0 || err != nil || len(list.Jobs) != 1 {
		return scheduler.State{Missing: r.Err == nil && err == nil && len(list.Jobs) == 0 && unknownJob().MatchString(r.Stderr)}
	}
	a := attributes{}
	for _, job := range list.Jobs {
		for name, value := range job {
			switch v := value.(type) {
			case string:
				a[name] = v
			case float64:
				a[name] = strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
	}
	return a.state()
}

// absent recognizes replies for a job that does not exist. With history off, "qstat -x"
// reports that on standard error and returns 0.
func absent(r scheduler.Reply) (s scheduler.State, answered bool) {
	answered = r.Err == nil && strings.TrimSpace(r.Stdout) == "" && unknownJob().MatchString(r.Stderr)
	return scheduler.State{Missing: answered}, answered
}

// parseText parses "    name = value"; long values continue in the next line after a
// tab.
func parseText(r scheduler.Reply) scheduler.State {
	if s, answered := absent(r); answered {
		return s
	}
	a, ok := readText(r)
	if !ok {
		return scheduler.State{}
	}
	return a.state()
}

func readText(r scheduler.Reply) (a attributes, ok bool) {
	if r.Err != nil || r.Code != 0 || strings.Count("\n"+r.Stdout, "\nJob Id: ") != 1 {
		return nil, false
	}
	a = attributes{}
	for line := range strings.SplitSeq(strings.ReplaceAll(r.Stdout, "\n\t", ""), "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			a[name] = value
		}
	}
	return a, true
}

// parseHistory is parseText for a query that not every version supports.
func parseHistory(r scheduler.Reply) scheduler.State {
	if r.Err == nil && r.Code != 0 && noJSON().MatchString(r.Stderr) {
		return scheduler.State{Missing: true}
	}
	return parseText(r)
}

// state derives the state from a job's attributes. A job that is exiting and has an exit
// status is done: it may remain in that state indefinitely when its files cannot be
// delivered.
func (a attributes) state() scheduler.State {
	row, ok := states()[a["job_state"]]
	if !ok {
		return scheduler.State{}
	}
	s := row.State(a["job_state"])
	s.Nodes, s.Start = a.nodes(), a.start()
	code, hasCode := a.exitStatus()
	switch {
	case s.Phase == scheduler.Pending:
		s.Reason = reasonOf(a, row)
	case s.Phase == scheduler.Done || (s.Phase == scheduler.Completing && hasCode):
		s.Phase = scheduler.Done
		a.setEnd(&s, code, hasCode)
	}
	return s
}

// setEnd sets how the job ended, from Exit_status and the substate.
func (a attributes) setEnd(s *scheduler.State, code int, known bool) {
	name := "Exit_status=" + strconv.Itoa(code)
	kind, special := statuses()[code]
	if _, lower := a["exit_status"]; lower {
		name, kind = "exit_status="+strconv.Itoa(code), torqueStatuses()[code]
		special = kind.Description != ""
	}
	switch {
	case a["substate"] == terminated:
		s.Class, s.Description, s.Name = scheduler.Cancelled, "it was deleted", "deleted"
	case !known:
		s.Class, s.Description = scheduler.SystemFailure, "it ended without an exit status"
	case special:
		s.Class, s.Description, s.Name = kind.Class, kind.Description, name
	case code < 0:
		s.Class, s.Description, s.Name = scheduler.SystemFailure, "PBS could not run it", name
	case code >= 256:
		s.Exit, s.Name = scheduler.Exit{Known: code < 384, Signal: code - 256}, name
	default:
		s.Exit, s.Name = scheduler.Exit{Known: true, Code: code}, name
	}
}

func (a attributes) exitStatus() (code int, known bool) {
	for _, name := range []string{"Exit_status", "exit_status"} {
		if n, err := strconv.Atoi(a[name]); err == nil {
			return n, true
		}
	}
	return 0, false
}

var chunk = scheduler.Pattern(`[A-Za-z0-9][A-Za-z0-9_.-]*`)

// nodes returns the hosts of "n1/0*2+n2/0".
func (a attributes) nodes() string {
	var names []string
	for part := range strings.SplitSeq(a["exec_host"], "+") {
		if name := chunk().FindString(part); name != "" && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// start parses the format of ctime(3), in the time zone of this process.
func (a attributes) start() time.Time {
	for _, name := range []string{"stime", "start_time", "estimated.start_time"} {
		if t, err := time.ParseInLocation(time.ANSIC, a[name], time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}

var idForm = scheduler.Pattern(`^[0-9]{1,12}(\.[A-Za-z0-9_.-]+)?$`)

// ParseFind implements scheduler.Finder: qselect prints the ids of the selected jobs, one
// in a line, and no names.
func (PBS) ParseFind(r scheduler.Reply) (found []scheduler.Found, err error) {
	err = scheduler.ParseLines(r, "qselect", func(line string) {
		if id := strings.TrimSpace(line); idForm().MatchString(id) {
			found = append(found, scheduler.Found{ID: scheduler.ID(id)})
		}
	})
	return found, err
}
