// Package sge builds the commands of Sun, Son of and Univa Grid Engine (qsub, qstat,
// qacct, qdel) and parses their output. It is pure.
//
// References: the manual pages of Grid Engine 8.1.9, and recorded output of its programs
// (testdata).
package sge

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// SGE implements scheduler.Scheduler.
type SGE struct{}

// Name implements scheduler.Scheduler.
func (SGE) Name() string { return "Grid Engine" }

// Submit implements scheduler.Scheduler. A queue may run scripts with another shell,
// which "-b y -shell n" prevents; a path without a colon before it could be taken for a
// host. With "-w e" Grid Engine refuses a request that no queue can satisfy; it comes
// first, so that a job can override it.
func (SGE) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := append([]string{"qsub", "-w", "e"}, args...)
	return scheduler.Command{Argv: append(argv, "-terse", "-b", "y", "-shell", "n", "-r", "n", "-j", "y",
		"-N", s.Name, "-o", outputList(s.Output), "-wd", variables.Replace(s.Dir), s.Script)}
}

// variables escapes the dollar sign, which begins a variable of Grid Engine ($HOME,
// $USER, ... of qsub(1); source/daemons/execd/get_path.c).
var variables = strings.NewReplacer("$", "$$")

// outputList is the value of -o, a list with hosts before colons. It cannot contain a
// path with a comma; then the job writes its log itself.
func outputList(path string) string {
	if strings.Contains(path, ",") {
		return ":/dev/null"
	}
	return ":" + variables.Replace(path)
}

// list are the options of qstat that a job of the user's cannot be left out by: files of the
// site and of the user (sge_qstat, .sge_qstat of qstat(1)) have defaults for them.
func list(user string) []string { return []string{"-xml", "-u", user, "-s", "a"} }

// Queries implements scheduler.Scheduler: the user's queued and running jobs, then the job
// alone, since those files can filter the list also by resources and queues, and then the
// accounting file, which every Grid Engine writes, with a delay of some seconds.
func (SGE) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{
		{Command: scheduler.NewCommand("qstat", list("$user")...), Parse: func(r scheduler.Reply) scheduler.State { return parseQueue(r, id) }},
		{Command: scheduler.NewCommand("qstat", "-j", string(id)), Parse: parseJob},
		{Command: scheduler.NewCommand("qacct", "-j", string(id)), Parse: parseAccounting},
	}
}

// Cancel implements scheduler.Scheduler. Grid Engine kills at once; it cannot send
// another signal.
func (SGE) Cancel(id scheduler.ID) scheduler.Command { return scheduler.NewCommand("qdel", string(id)) }

// CancelName implements scheduler.NameCanceller.
func (SGE) CancelName(user, name string) scheduler.Command {
	return scheduler.NewCommand("qdel", "-u", user, name)
}

// Find implements scheduler.Finder.
func (SGE) Find(user, _ string) scheduler.Command {
	return scheduler.NewCommand("qstat", list(user)...)
}

// Usage implements scheduler.Accountant.
func (SGE) Usage(id scheduler.ID) scheduler.Command {
	return scheduler.NewCommand("qacct", "-j", string(id))
}

// Advice implements scheduler.Hinter.
func (SGE) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{scheduler.TimeLimit: "-l h_rt=2:00:00", scheduler.MemoryLimit: "-l h_vmem=8G"}[c]
}

// Limits implements scheduler.Constrained.
func (SGE) Limits() string {
	return "Grid Engine cannot send SIGTERM to a script: when this CI job is cancelled, the script is killed at once"
}

// Grammar implements scheduler.Scheduler: qsub(1) of Grid Engine 8.1.9 and of
// Univa Grid Engine 8.6.
func (SGE) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.AddSingleDash(1, "a ac ar A binding c ckpt ct dc dl hold_jid hold_jid_ad js jc jsv l m M masterq mods now P p q R S u v w xd par mbind masterl rou umask adds clearp clears clone C sc")
	g.AddSingleDash(0, "cwd h hard soft notify V")
	g.AddSingleDash(2, "pe")
	g.ReserveSingleDash(1, "b e j N o pty r shell sync t tc tcon wd @")
	g.ReserveSingleDash(0, "terse help clear verify")
	g.AddSingleDash(1, "i")
	return g
}

// submitPatterns match the output of qsub. It reports a failed submission as "Unable to
// run job: X" and "Exiting." (source/clients/qsub/msg_qsub.h); X is a text of qmaster
// (source/daemons/qmaster/msg_qmaster.h), of a job submission verifier, or of the
// communication library (source/libs/gdi/msg_gdilib.h), whose errors also appear alone,
// after "error: ".
func submitPatterns() scheduler.SubmitPatterns {
	return scheduler.SubmitPatterns{
		ID:         scheduler.Pattern(`^(?:Your job )?([1-9][0-9]{0,9})(?: \(".*"\) has been submitted)?$`),
		Error:      scheduler.Pattern(`^(?:Unable to run job: |Unable to initialize environment because of error: |error: |critical error: )(.*)$`),
		FirstError: true,
		Unreachable: scheduler.Sentences(
			`commlib error: .*\(Connection refused\)`, `commlib error: can't (?:connect to service|resolve host name|create socket).*`, `SGE_ROOT directory ".*" doesn't exist`,
			`can't resolve host name.*`, `Please set the environment variable SGE_ROOT\.?`, `(?:error: )?unable to (?:contact|connect to) qmaster.*`,
			`unable to send message to qmaster using port [0-9]+ on host ".*": can't (?:connect to service|resolve host name|create socket)\.?`,
		),
		Full: scheduler.Sentences(
			`job rejected: only [0-9]+ jobs are allowed per (?:user \(current job count: [0-9]+\)|cluster)\.?`,
			`[Cc]ould not pass job now to DRM system\. A retry may succeed however \(saturation\)\.`,
		),
		Uncertain: scheduler.Sentences(
			`commlib error: .*`, `unable to send message to qmaster using port [0-9]+ on host ".*": .*`,
			`failed (?:sending gdi request|receiving gdi request response for mid=[0-9]+ \(.*\))\.?`, `got gdi request receive timeout`,
			`can't (?:send .* message to|receive message from) commproc .*`, `error unpacking gdi request: .*`,
		),
	}
}

// fullStatus is the exit status of a submission at a limit (qsub(1)).
const fullStatus = 25

// verified is the output for "-w v" and "-w p", with which qsub submits nothing.
var verified = scheduler.Pattern(`(?m)^verification: found .*$`)

// ParseSubmit implements scheduler.Scheduler.
func (SGE) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := submitPatterns().Classify(r)
	switch {
	case r.Err == nil && r.Code == 0 && s.Outcome == scheduler.Uncertain && verified().MatchString(r.Stdout):
		s.Outcome = scheduler.Refused
	case r.Code == fullStatus && s.Outcome == scheduler.Refused:
		s.Outcome = scheduler.Full
	case r.Code != fullStatus && s.Outcome == scheduler.Full:
		s.Outcome = scheduler.Refused // the same text from a verifier
	}
	return s
}

var noRecord = scheduler.Pattern(`job id [0-9]+ not found|no accounting file|job name .* not found`)

// entities are the predefined entities of XML.
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&")

// queuedJob is one job of qstat's list, as element names and texts.
type queuedJob map[string]string

// readQueue parses the elements <job_list> of "qstat -xml", which have one child in a
// line. It rejects truncated output. An XML decoder would reject the whole list for one
// name that is not valid UTF-8.
func readQueue(r scheduler.Reply) (jobs []queuedJob, err error) {
	if r.Err != nil {
		return nil, r.Err
	}
	if r.Code != 0 || !strings.Contains(r.Stdout, "</job_info>") {
		return nil, fmt.Errorf("qstat: %s", strings.TrimSpace(r.Stderr))
	}
	for part := range strings.SplitSeq(r.Stdout, "<job_list") {
		body, _, ok := strings.Cut(part, "</job_list>")
		if !ok {
			continue
		}
		job := queuedJob{}
		for line := range strings.Lines(body) {
			tag, rest, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "<"), ">")
			if value, whole := strings.CutSuffix(rest, "</"+tag+">"); whole {
				job[tag] = entities.Replace(value)
			}
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

func parseQueue(r scheduler.Reply, id scheduler.ID) scheduler.State {
	jobs, err := readQueue(r)
	if err != nil {
		return scheduler.State{}
	}
	for _, j := range jobs {
		if j["JB_job_number"] == string(id) {
			return j.state()
		}
	}
	return scheduler.State{Missing: true}
}

var (
	noJob    = scheduler.Pattern(`(?m)^Following jobs do not exist`)
	jobExist = scheduler.Pattern(`(?m)^job_number: `)
)

// parseJob parses "qstat -j", whose output does not show whether a job has started. A job
// that the list leaves out counts as one that may run.
func parseJob(r scheduler.Reply) scheduler.State {
	switch {
	case r.Err != nil:
	case r.Code != 0:
		return scheduler.State{Missing: noJob().MatchString(r.Stderr)}
	case jobExist().MatchString(r.Stdout):
		return scheduler.Runs("qstat does not list it").State("unlisted")
	}
	return scheduler.State{}
}

// state derives the state from the letters of qstat(1). There may be several; the first
// row that matches counts.
func (j queuedJob) state() scheduler.State {
	letters := j["state"]
	if letters == "" || strings.Trim(letters, stateLetters) != "" {
		return scheduler.State{}
	}
	for _, known := range states {
		if !strings.Contains(letters, known.letter) {
			continue
		}
		s := known.row.State(letters)
		if s.Phase == scheduler.Pending {
			return s
		}
		_, s.Nodes, _ = strings.Cut(j["queue_name"], "@")
		s.Start, _ = time.ParseInLocation("2006-01-02T15:04:05", j["JAT_start_time"], time.Local)
		return s
	}
	return scheduler.State{}
}

// ParseFind implements scheduler.Finder.
func (SGE) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	jobs, err := readQueue(r)
	var found []scheduler.Found
	for _, j := range jobs {
		if _, err := strconv.ParseUint(j["JB_job_number"], 10, 32); err == nil && j["JB_name"] != "" {
			found = append(found, scheduler.Found{ID: scheduler.ID(j["JB_job_number"]), Name: j["JB_name"], State: j.state()})
		}
	}
	return found, err
}

// parseRecord parses qacct's lines "name   value". It rejects two records: numbers are
// reused when they have run out.
func parseRecord(r scheduler.Reply) (f map[string]string, ok bool) {
	if r.Err != nil || r.Code != 0 || strings.Count("\n"+r.Stdout, "\njobnumber ") != 1 {
		return nil, false
	}
	f = map[string]string{}
	for line := range strings.Lines(r.Stdout) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		f[name] = strings.TrimSpace(value)
	}
	return f, true
}

// parseAccounting parses "failed  37  : why" and "exit_status  137  (Killed)".
func parseAccounting(r scheduler.Reply) scheduler.State {
	f, ok := parseRecord(r)
	if !ok {
		return scheduler.State{Missing: r.Err == nil && r.Code != 0 && noRecord().MatchString(r.Stderr)}
	}
	failed, ferr := leadingNumber(f["failed"])
	code, cerr := leadingNumber(f["exit_status"])
	if ferr != nil || cerr != nil {
		return scheduler.State{}
	}
	s := scheduler.State{Phase: scheduler.Done, Name: fmt.Sprintf("failed=%d", failed), Nodes: f["hostname"], Description: "Grid Engine could not run it"}
	s.Start, _ = time.ParseInLocation(time.ANSIC, f["start_time"], time.Local)
	end, special := failures()[failed]
	if !special {
		s.Class = scheduler.SystemFailure
		return s
	}
	s.Class, s.Description = end.Class, end.Description
	if s.Class == scheduler.Exited {
		s.Exit = scheduler.Exit{Known: true, Code: code}
	}
	return s
}

// leadingNumber parses the number at the start.
func leadingNumber(text string) (int, error) {
	word, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseUint(word, 10, 8)
	return int(n), err
}

// ParseUsage implements scheduler.Accountant.
func (SGE) ParseUsage(r scheduler.Reply) (u scheduler.Usage) {
	f, ok := parseRecord(r)
	if !ok {
		return u
	}
	u.CPUs, _ = strconv.Atoi(f["slots"])
	u.Elapsed, u.CPU = parseSeconds(f["ru_wallclock"]), parseSeconds(f["cpu"])
	u.Memory, u.Nodes = scheduler.ParseMemory(strings.TrimSuffix(f["maxvmem"], "B")), f["hostname"]
	return u
}

// parseSeconds parses "0.007s"; older versions omit the unit.
func parseSeconds(text string) time.Duration {
	n, _ := strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64) // 0 or an infinity for an error
	if !(n >= 0 && n < 1<<31) {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

// stateLetters are the letters of a job's state in qstat(1).
const stateLetters = "dEhrRsStTwqNP"

// states are the meanings of the letters, in order of precedence.
var states = []struct {
	letter string
	row    scheduler.Row
}{
	{"E", scheduler.Waits(scheduler.LaunchFailed, "it could not be started; qstat -j shows why")},
	{"d", scheduler.Completes("it is being deleted")},
	{"s", scheduler.Suspends("it is suspended")},
	{"S", scheduler.Suspends("it is suspended with its queue")},
	{"T", scheduler.Suspends("it is suspended because its node is busy")},
	{"N", scheduler.Suspends("it is suspended")},
	{"P", scheduler.Suspends("it is suspended for another job")},
	{"r", scheduler.Runs("it is running")},
	{"t", scheduler.Runs("it is being transferred to its node")},
	// qhold(1) can hold a job that runs, which has no effect on it.
	{"h", scheduler.Waits(scheduler.Held, "it is held; release it with qrls")},
	{"w", scheduler.Waits(scheduler.Queued, "it is waiting in the queue")},
}

// failures are the values of "failed" in the accounting other than those that mean that
// Grid Engine could not run the job (accounting(5), sge_diagnostics(1)). With 100 the
// job's first process was killed, by qdel or by a signal on the node; the record does not
// distinguish them.
func failures() map[int]scheduler.Row {
	return map[int]scheduler.Row{
		0:   scheduler.Ends(scheduler.Exited, "it ended"),
		37:  scheduler.Ends(scheduler.TimeLimit, "it exceeded h_rt, h_cpu or h_vmem"),
		44:  scheduler.Ends(scheduler.TimeLimit, "it exceeded h_rt, h_cpu or h_vmem"),
		25:  scheduler.Ends(scheduler.SystemFailure, "it will run again"),
		100: scheduler.Ends(scheduler.Cancelled, "it was deleted or killed"),
	}
}
