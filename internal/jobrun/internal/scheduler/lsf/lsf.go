// Package lsf builds the commands of IBM Spectrum LSF 9.1 and newer (bsub, bjobs, bhist,
// bkill) and parses their output. It is pure.
//
// References: IBM's command reference of LSF 10.1, and output that other programs for LSF
// have recorded. Not tested against a live LSF.
package lsf

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// LSF implements scheduler.Scheduler.
type LSF struct{}

// Name implements scheduler.Scheduler.
func (LSF) Name() string { return "LSF" }

// Submit implements scheduler.Scheduler. LSF keeps output on the node until the end and
// adds a report to it, or mails it; so the job writes its log itself and LSF discards the
// rest. The job must not run twice: -rn. The command is interpreted by a shell. In the
// value of -cwd a percent sign begins a pattern, which cannot be escaped; by default a
// job runs in the directory of bsub. bsub retries indefinitely when a limit is reached or
// no daemon responds, hence LSB_NTRIES.
func (LSF) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := append(append([]string{"bsub"}, args...), "-J", s.Name, "-o", "/dev/null", "-rn")
	if !strings.Contains(s.Dir, "%") {
		argv = append(argv, "-cwd", s.Dir)
	}
	return scheduler.Command{Argv: append(argv, job.ShellWord(s.Script)), Env: []string{"LSB_NTRIES=1"}, Dir: s.Dir}
}

// fields are the fields of bjobs that the parser needs.
const fields = "jobid job_name stat exit_code exit_reason exec_host pend_reason"

// Queries implements scheduler.Scheduler: bjobs shows a job for some time after its end
// (CLEAN_PERIOD), in JSON since LSF 10.1; bhist reads the event log.
func (LSF) Queries(id scheduler.ID, _ bool) []scheduler.Query {
	return []scheduler.Query{
		{Command: scheduler.NewCommand("bjobs", "-a", "-json", "-o", fields, string(id)), Parse: parseJob},
		{Command: scheduler.NewCommand("bhist", "-l", string(id)), Parse: parseHistory},
	}
}

// Cancel implements scheduler.Scheduler.
func (LSF) Cancel(id scheduler.ID) scheduler.Command {
	return scheduler.NewCommand("bkill", string(id))
}

// CancelName implements scheduler.NameCanceller; job 0 means all that match.
func (LSF) CancelName(user, name string) scheduler.Command {
	return scheduler.NewCommand("bkill", "-u", user, "-J", name, "0")
}

// Signal implements scheduler.Signaller.
func (LSF) Signal(id scheduler.ID) scheduler.Command {
	return scheduler.NewCommand("bkill", "-s", "TERM", string(id))
}

// Find implements scheduler.Finder.
func (LSF) Find(user, name string) scheduler.Command {
	list := scheduler.NewCommand("bjobs", "-json", "-o", fields, "-u", user)
	if name != "" {
		list.Argv = append(list.Argv, "-a", "-J", name)
	}
	return list
}

// Advice implements scheduler.Hinter.
func (LSF) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{scheduler.TimeLimit: "-W 2:00", scheduler.MemoryLimit: "-M 8GB", scheduler.Deadline: "-t 20:00"}[c]
}

// Grammar implements scheduler.Scheduler: the options of bsub in the command references
// of LSF 7.0, 9.1 and 10.1. -Q would run the job again, and a file of options can contain
// reserved ones.
func (LSF) Grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.AddSingleDash(1, `a alloc_flags app b C c clusters cn_cu cn_mem core_isolation csm D data datagrp E Ep env eptl ext extsched
		F f freq G g gpu hostfile i is jobaff jsm k L ln_mem ln_slots Lp M m mig n network nnodes notify outdir P p
		ptl q R rcacct rnc S s sla smt sp stage step_cgroup T t U u v W wa We w wt`)
	g.AddSingleDash(0, "ar B datachk H hl N Ne ti ul x")
	g.ReserveSingleDash(1, "cwd e eo J Jd jsdl jsdl_strict json o oo pack Q yaml")
	g.ReserveSingleDash(0, "I Ip Is IS ISp ISs IX K h V XF Zs r rn tty")
	return g
}

// submitPatterns match the output of bsub. Its last line for a failed submission is "X.
// Job not submitted." where X is a text of lsb_errmsg (lsb.err.c of the published lsbatch
// library), with an invalid name before it: "NAME: X". An esub can print any text before
// that line. The texts about daemons that do not respond are those of lserrno(3) and of
// IBM's command reference.
func submitPatterns() scheduler.SubmitPatterns {
	return scheduler.SubmitPatterns{
		ID:    scheduler.Pattern(`^Job <([1-9][0-9]{0,9})> is submitted to (?:default )?queue <.*>\.$`),
		Error: scheduler.Pattern(`^(.*\. Job not submitted\.|(?:User|Group|Project|Cluster|Queue|Job group)? ?(?:<.*>: )?Pending (?:job|slot) threshold reached\..*|Cannot connect to LSF\..*|LSF is down\..*|(?:LSF |Batch |batch )?(?:system )?daemon not responding.*|Failed in an LSF library call: .*|Request from non-LSF host rejected\.?|.*lsf\.conf.*)$`),
		Unreachable: scheduler.Sentences(
			withoutPrefix(`Cannot connect to LSF\. Please wait \.\.\.`), withoutPrefix(`LSF is down\. Please wait \.\.\.`),
			withoutPrefix(`(?:Failed in an LSF library call: )?(?:LIM is down; try later|Request from (?:a )?non-LSF host rejected|Communication down|Connection refused by server)`),
			withoutPrefix(`Batch service not registered`), withoutPrefix(`Timeout on connect call to server`), withoutPrefix(`Server is not connected`),
			`(?:lsf\.conf|/.*/lsf\.conf): (?:No such file or directory|not found).*`, `Cannot open (?:lsf\.conf|/.*/lsf\.conf).*`,
		),
		Full: scheduler.Sentences(
			`(?:(?:User|Group|Project|Cluster|Queue|Job group) )?(?:<[^>]*>: )?Pending (?:job|slot) threshold reached\.(?: Retrying in [0-9]+ seconds\.*)?(?: Job not submitted\.)?`,
			`(?:[^:]*: )?(?:The destination queue has reached its job limit|Job group limit reached)\. Job not submitted\.`,
		),
		Uncertain: scheduler.Sentences(
			withoutPrefix(`(?:Contacting batch daemon: )?Communication timeout`), withoutPrefix(`Batch protocol error`), withoutPrefix(`XDR encode/decode error`),
			withoutPrefix(`End of file`), withoutPrefix(`(?:Master batch daemon|Batch library) internal error`), withoutPrefix(`Operation is in progress`),
			`(?:LSF |Batch |batch )?(?:system )?daemon not responding ?\.\.\. ?still trying.*`,
			withoutPrefix(`Failed in an LSF library call(?:: .*)?`), withoutPrefix(`System call failed(?:: .*)?`), withoutPrefix(`Child process died`),
		),
	}
}

// withoutPrefix matches a text without a name before it.
func withoutPrefix(text string) string { return `(?:` + text + `)(?:\. Job not submitted\.)?` }

// ParseSubmit implements scheduler.Scheduler.
func (LSF) ParseSubmit(r scheduler.Reply) scheduler.Submission { return submitPatterns().Classify(r) }

var (
	unknownJob = scheduler.Pattern(`Job <[^>]*> is not found|No (?:matching |unfinished )?job found`)
	// noJSON is printed by versions whose bjobs does not support JSON.
	noJSON  = scheduler.Pattern(`(?i)illegal option|Usage:|unrecognized`)
	idForm  = scheduler.Pattern(`^[1-9][0-9]{0,9}$`)
	subject = scheduler.Pattern(`(?m)^Job <[0-9]+>`)
)

// jobRow is one job of bjobs. Every value is a string.
type jobRow struct {
	ID     string `json:"JOBID"`
	Name   string `json:"JOB_NAME"`
	Stat   string `json:"STAT"`
	Code   string `json:"EXIT_CODE"`
	Why    string `json:"EXIT_REASON"`
	Hosts  string `json:"EXEC_HOST"`
	Reason string `json:"PEND_REASON"`
	Error  string `json:"ERROR"`
}

// readJobs parses {"RECORDS": [...]}. Banners may precede it, and lines about LSF making
// the caller wait.
func readJobs(r scheduler.Reply) ([]jobRow, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	var list struct{ Records []jobRow }
	start := max(strings.IndexByte(r.Stdout, '{'), 0)
	if err := json.NewDecoder(strings.NewReader(r.Stdout[start:])).Decode(&list); err != nil {
		return nil, fmt.Errorf("bjobs: %s", strings.TrimSpace(r.Stderr))
	}
	return list.Records, nil
}

func parseJob(r scheduler.Reply) scheduler.State {
	jobs, err := readJobs(r)
	switch {
	case r.Err != nil:
		return scheduler.State{}
	case err != nil:
		// Without JSON, the next query shows the state.
		return scheduler.State{Missing: unknownJob().MatchString(r.Stderr+r.Stdout) || (r.Code != 0 && noJSON().MatchString(r.Stderr))}
	case len(jobs) != 1:
		return scheduler.State{}
	case jobs[0].Error != "":
		return scheduler.State{Missing: unknownJob().MatchString(jobs[0].Error)}
	}
	return jobs[0].state()
}

func (j jobRow) state() scheduler.State {
	row, ok := states()[j.Stat]
	if !ok {
		return scheduler.State{}
	}
	s := row.State(j.Stat)
	s.Nodes = strings.ReplaceAll(j.Hosts, ":", ",")
	switch s.Phase {
	case scheduler.Pending:
		s.Reason = reasonOf(j.Reason, row)
	case scheduler.Done:
		setEnd(&s, j.Why, j.Code)
	}
	return s
}

// setEnd sets how a job ended: by the termination reason, "TERM_RUNLIMIT: job killed
// after ...", or else by the exit status.
func setEnd(s *scheduler.State, why, code string) {
	word, _, _ := strings.Cut(why, ":")
	if t, ok := terminations()[strings.TrimSpace(word)]; ok {
		s.Name, s.Class, s.Description = strings.TrimSpace(word), t.Class, t.Description
	}
	if code == "" && s.Name == "DONE" {
		code = "0"
	}
	if s.Class == scheduler.Exited {
		s.Exit = scheduler.ParseExit(code)
	}
}

var (
	exitCode  = scheduler.Pattern(`Exited with exit code ([0-9]{1,3})`)
	killed    = scheduler.Pattern(`Exited by (?:LSF )?signal ([0-9]{1,3})`)
	term      = scheduler.Pattern(`(TERM_[A-Z_]+):`)
	completed = scheduler.Pattern(`Completed <(done|exit)>|Done successfully`)
	runs      = scheduler.Pattern(`: (?:Starting|Started|Dispatched)`)
	submitted = scheduler.Pattern(`: Submitted from`)
)

// parseHistory parses the events of "bhist -l". It breaks long lines within words, and
// indents continuation lines. The last event counts.
func parseHistory(r scheduler.Reply) scheduler.State {
	if r.Err != nil || r.Code != 0 {
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr+r.Stdout)}
	}
	text := joinLines(r.Stdout)
	var stat string
	switch {
	case len(subject().FindAllString(text, 2)) != 1:
		return scheduler.State{}
	case completed().MatchString(text):
		stat = "EXIT"
	case runs().MatchString(text):
		stat = "RUN"
	case submitted().MatchString(text):
		stat = "PEND"
	}
	j := jobRow{Stat: stat, Code: firstGroup(exitCode().FindStringSubmatch(text)), Why: firstGroup(term().FindStringSubmatch(text)) + ":"}
	if n, err := strconv.Atoi(firstGroup(killed().FindStringSubmatch(text))); err == nil && n < 128 {
		j.Code = strconv.Itoa(128 + n)
	}
	if strings.Contains(text, "Done successfully") || strings.Contains(text, "Completed <done>") {
		j.Stat, j.Code = "DONE", ""
	}
	return j.state()
}

func firstGroup(m []string) string {
	if m == nil {
		return ""
	}
	return m[1]
}

// joinLines joins continuation lines; an event begins without indentation.
func joinLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		rest := strings.TrimLeft(line, " ")
		if len(line)-len(rest) >= 10 {
			joined := strings.TrimSuffix(b.String(), "\n")
			b.Reset()
			b.WriteString(joined)
			line = rest
		}
		b.WriteString(line)
	}
	return b.String()
}

// ParseFind implements scheduler.Finder.
func (LSF) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	jobs, err := readJobs(r)
	if r.Err == nil && err != nil && unknownJob().MatchString(r.Stderr+r.Stdout) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []scheduler.Found
	for _, j := range jobs {
		if j.Error == "" && idForm().MatchString(j.ID) {
			found = append(found, scheduler.Found{ID: scheduler.ID(j.ID), Name: j.Name, State: j.state()})
		}
	}
	return found, nil
}
