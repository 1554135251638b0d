// Package flux builds the commands of Flux 0.60 and newer (flux batch, flux jobs, flux
// job kill, flux cancel) and parses their output. It is pure.
//
// References: the manual pages of flux-core 0.88, and recorded output of its programs.
package flux

import (
	"math"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Flux implements scheduler.Scheduler.
type Flux struct{}

// Name implements scheduler.Scheduler.
func (Flux) Name() string { return "Flux" }

// Submit implements scheduler.Scheduler. The job is a Flux instance of its own, so that
// the script can use its whole allocation with flux run; flux batch requires a size, and
// one slot is the least. Flux truncates and writes the file that --output names, so that
// cannot be the job's log.
func (f Flux) Submit(s scheduler.Spec, args []string) scheduler.Command {
	argv := []string{"flux", "batch"}
	if !f.Grammar().Contains(args, "nslots", "nodes") {
		argv = append(argv, "--nslots=1")
	}
	return command(append(append(argv, args...),
		"--job-name="+s.Name, "--output=/dev/null", "--error=/dev/null", "--cwd="+s.Dir, s.Script)...)
}

// asciiID is the id in ASCII, which every terminal and locale supports.
func asciiID(id scheduler.ID) scheduler.ID {
	return scheduler.ID(strings.Replace(string(id), "ƒ", "f", 1))
}

// format lists the fields of flux-jobs(1); the note is the last one because only it may
// contain a bar.
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

// Advice implements scheduler.Hinter.
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

var unknownJob = scheduler.Pattern(`JobID \S+ unknown|[Nn]o such job|not found in job-list`)

// jobRow is one line of flux jobs, with the fields of format.
type jobRow struct {
	id, name, state, result, code, exception, urgency, start, estimate, nodes, dependencies, note string
}

func readRow(line string) (r jobRow, ok bool) {
	f := strings.SplitN(line, "|", 12)
	if len(f) != 12 {
		return r, false
	}
	return jobRow{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11]}, true
}

func parseJob(r scheduler.Reply) scheduler.State {
	line := strings.TrimSuffix(r.Stdout, "\n")
	if r.Err != nil || line == "" {
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr)}
	}
	job, ok := readRow(line)
	if !ok || r.Code != 0 || strings.Contains(line, "\n") {
		return scheduler.State{}
	}
	return job.jobState()
}

func (j jobRow) jobState() scheduler.State {
	known, ok := states()[j.state]
	if !ok {
		return scheduler.State{}
	}
	s := known.State(j.state)
	s.Nodes, s.Start = j.nodes, parseTime(j.start)
	switch s.Phase {
	case scheduler.Pending:
		s.Start, s.Reason = parseTime(j.estimate), j.reason(s.Reason)
	case scheduler.Done:
		return j.endState(s)
	}
	return s
}

// reason is why a job is pending, for which it has a state. Urgency 0 is a hold
// (flux-submit(1)).
func (j jobRow) reason(state scheduler.Reason) scheduler.Reason {
	switch {
	case j.state == "DEPEND" && j.dependencies != "":
		state.Name = j.dependencies
	case j.state != "DEPEND" && j.urgency == "0":
		return scheduler.Reason{Name: "urgency=0", Description: "it is held; release it with flux job urgency", Kind: scheduler.Held}
	}
	return state
}

// endState is how a job ended, according to its result and the exception that ended it.
func (j jobRow) endState(s scheduler.State) scheduler.State {
	known, ok := results()[j.result]
	if !ok {
		return scheduler.State{}
	}
	s.Name, s.Class, s.Description = j.result, known.Class, known.Description
	if why, fatal := exceptions()[j.exception]; fatal && j.result == "FAILED" {
		s.Class, s.Description = why.Class, why.Description
		s.Reason = scheduler.Reason{Name: j.note, Description: why.Description, Kind: why.Kind}
		return s
	}
	if s.Class == scheduler.Exited {
		s.Exit = scheduler.ParseExit(j.code)
	}
	return s
}

// parseTime parses seconds since 1970 with a fraction; 0 and "" mean unknown.
func parseTime(text string) time.Time {
	n, _ := strconv.ParseFloat(text, 64) // 0 or an infinity for an error
	if !(n >= 1 && n < 1<<40) {
		return time.Time{}
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9))
}

// ParseFind implements scheduler.Finder.
func (Flux) ParseFind(r scheduler.Reply) (found []scheduler.Found, err error) {
	err = scheduler.ParseLines(r, "flux jobs", func(line string) {
		job, _ := readRow(line) // without an id where it is none
		if m := submittedID().FindStringSubmatch(job.id); m != nil {
			found = append(found, scheduler.Found{ID: asciiID(scheduler.ID(m[1])), Name: job.name, State: job.jobState()})
		}
	})
	return found, err
}

var submittedID = scheduler.Pattern(`^((?:ƒ|f)[1-9A-HJ-NP-Za-km-z]{1,12})$`)

// submitPatterns match the output of flux batch. It reports an error as "flux-batch:
// ERROR: X", where X is the text of strerror(3), of the library, or of a validator or a
// plugin of the job manager that refused the job; older versions add "[Errno N]" before
// it (src/bindings/python/flux/util.py of flux-core). An id has two forms: it begins with
// a letter that is not ASCII unless an environment variable forces ASCII.
func submitPatterns() scheduler.SubmitPatterns {
	return scheduler.SubmitPatterns{
		ID:         submittedID,
		Error:      scheduler.Pattern(`^flux-batch: ERROR: (.*)$`),
		FirstError: true,
		Unreachable: scheduler.Sentences(
			errnoPrefix+`(?:Unable to connect to Flux: |flux_open: )?broker socket \S+ was not found`, errnoPrefix+`Unable to connect to Flux: .*`,
			`(?:\[Errno 111\] )?Connection refused`, `(?:\[Errno 2\] )?No such file or directory: '?\S*/local'?`,
		),
		// max_active_jobs of flux-accounting (src/plugins/mf_priority.cpp).
		Full: scheduler.Sentences(errnoPrefix + `user has max active jobs`),
		Uncertain: scheduler.Sentences(
			`(?:\[Errno 110\] )?Connection timed out`, `(?:\[Errno 104\] )?Connection reset by peer`, `(?:\[Errno 32\] )?Broken pipe`,
			`(?:\[Errno 38\] )?Function not implemented`, `(?:\[Errno 71\] )?Protocol error`, `(?:\[Errno 113\] )?No route to host`,
			`(?:\[Errno 62\] )?Timer expired`, errnoPrefix+`[Ll]ost connection(?: to Flux)?`,
		),
	}
}

const errnoPrefix = `(?:\[Errno [0-9]+\] )?`

// ParseSubmit implements scheduler.Scheduler.
func (Flux) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := submitPatterns().Classify(r)
	s.ID = asciiID(s.ID)
	return s
}

// states are those of RFC 21 of the Flux framework. NEW and the like last only a moment.
func states() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"NEW":      scheduler.Waits(scheduler.Queued, "Flux is accepting it"),
		"DEPEND":   scheduler.Waits(scheduler.Queued, "it depends on something that has not happened"),
		"PRIORITY": scheduler.Waits(scheduler.Queued, "its priority is not assigned yet"),
		"SCHED":    scheduler.Waits(scheduler.Queued, "it waits for resources to become free"),
		"RUN":      scheduler.Runs("it is running"),
		"CLEANUP":  scheduler.Completes("it is completing"),
		"INACTIVE": scheduler.Ends(scheduler.Exited, "it ended"),
	}
}

// results are those of flux-jobs(1).
func results() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"COMPLETED": scheduler.Ends(scheduler.Exited, "it completed"),
		"FAILED":    scheduler.Ends(scheduler.Exited, "it failed"),
		"CANCELED":  scheduler.Ends(scheduler.Cancelled, "it was cancelled"),
		"TIMEOUT":   scheduler.Ends(scheduler.TimeLimit, "it ran longer than its time limit"),
	}
}

// exceptions are the types that end a job other than by its script (RFC 21,
// flux-job-exceptions(7)). An allocation or a dependency that can never be satisfied is
// an error of the request.
func exceptions() map[string]scheduler.Row {
	return map[string]scheduler.Row{
		"alloc":        {Phase: scheduler.Done, Class: scheduler.Exited, Kind: scheduler.Unsatisfiable, Description: "it requests more than there is"},
		"dependency":   {Phase: scheduler.Done, Class: scheduler.Exited, Kind: scheduler.Unsatisfiable, Description: "it depends on a job that will never end as required"},
		"exec":         scheduler.Ends(scheduler.SystemFailure, "it could not be started, or its node was lost"),
		"node-failure": scheduler.Ends(scheduler.SystemFailure, "a node of it failed"),
		"prolog":       scheduler.Ends(scheduler.SystemFailure, "its nodes could not be prepared"),
		"epilog":       scheduler.Ends(scheduler.Exited, "its nodes could not be cleaned up"),
		"start":        scheduler.Ends(scheduler.SystemFailure, "it could not be started"),
		"preempt":      scheduler.Ends(scheduler.SystemFailure, "it was preempted"),
		"scheduler":    scheduler.Ends(scheduler.SystemFailure, "the scheduler failed"),
	}
}
