// Package slurm builds the commands of Slurm 20.11 and newer (sbatch, squeue, scontrol,
// sacct, scancel) and parses their output. It is pure.
package slurm

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Slurm implements scheduler.Scheduler and its optional interfaces. The zero value has the
// jobs of the local cluster, or of its federation.
type Slurm struct{ clusters string }

// Name implements scheduler.Scheduler.
func (Slurm) Name() string { return "Slurm" }

// Clusters implements scheduler.Clustered: the cluster in the id, otherwise those of
// --clusters.
func (Slurm) Clusters(args []scheduler.Argument, id scheduler.ID) string {
	_, clusters := splitID(id)
	if clusters != "" {
		return clusters
	}
	for _, a := range args {
		if a.CouldBe("clusters") || a.CouldBe("cluster") {
			clusters = a.Value
		}
	}
	return clusters
}

// In implements scheduler.Clustered.
func (Slurm) In(clusters string) scheduler.Scheduler { return Slurm{clusters} }

// Grammar implements scheduler.Scheduler.
func (Slurm) Grammar() scheduler.Grammar { return grammar() }

// Submit implements scheduler.Scheduler. A CI job must never run twice, hence
// --no-requeue; --open-mode=append keeps the log if it runs again nevertheless.
func (Slurm) Submit(s scheduler.Spec, args []string) scheduler.Command {
	return scheduler.Command{Argv: append(append([]string{"sbatch"}, args...), "--parsable", "--no-requeue", "--job-name="+s.Name,
		"--output="+outputPattern(s.Output), "--open-mode=append", "--chdir="+s.Dir, s.Script)}
}

// outputPattern is the file name pattern for a path. A percent sign is doubled. A path
// with a backslash has no pattern, and the job writes its log itself: Slurm removes every
// backslash, some versions also double ones (src/slurmd/common/fname.c,
// src/common/print_fields.c).
func outputPattern(path string) string {
	if strings.Contains(path, `\`) {
		return "/dev/null"
	}
	return strings.ReplaceAll(path, "%", "%%")
}

// Queries implements scheduler.Scheduler: squeue shows queued and running jobs, scontrol
// those that ended in the last minutes (MinJobAge), sacct the rest. Without -a a job in a
// hidden partition is not shown. In a federation another cluster may run the job:
// --sibling shows its record too, and is without effect elsewhere.
func (s Slurm) Queries(id scheduler.ID, accounting bool) []scheduler.Query {
	number, cluster := s.place(id)
	queries := []scheduler.Query{
		{Command: command("squeue", cluster, "-h", "-a", "--sibling", "-t", "all", "-j", number, "-o", "%T|%S|%N|%r"), Parse: parseQueue},
		{Command: command("scontrol", cluster, "-o", "-a", "--sibling", "show", "job", number), Parse: parseControl},
	}
	if accounting {
		sacct := command("sacct", cluster, "--federation", "-X", "-n", "-P", "-j", number, "-o", "state,exitcode,start,nodelist")
		queries = append(queries, scheduler.Query{Command: sacct, Parse: parseAccounting})
	}
	return queries
}

// Cancel implements scheduler.Scheduler.
func (s Slurm) Cancel(id scheduler.ID) scheduler.Command {
	number, cluster := s.place(id)
	return command("scancel", cluster, number)
}

// CancelName implements scheduler.NameCanceller.
func (s Slurm) CancelName(user, name string) scheduler.Command {
	return command("scancel", s.clusters, "-u", user, "-n", name)
}

// Signal implements scheduler.Signaller. Without --full the signal would reach only the
// steps, not the script.
func (s Slurm) Signal(id scheduler.ID) scheduler.Command {
	number, cluster := s.place(id)
	return command("scancel", cluster, "--full", "-s", "TERM", number)
}

// Advice implements scheduler.Hinter.
func (Slurm) Advice(c scheduler.Class) string {
	return map[scheduler.Class]string{
		scheduler.TimeLimit: "--time=2:00:00", scheduler.MemoryLimit: "--mem=8G", scheduler.Deadline: "--deadline=now+2hours",
	}[c]
}

// Find implements scheduler.Finder. The header has the name of each cluster, which no
// field of the format has.
func (s Slurm) Find(user, name string) scheduler.Command {
	list := command("squeue", s.clusters, "-a", "--sibling", "-u", user, "-o", "%i|%j|%T|%S|%N|%r")
	if name != "" {
		list.Argv = append(list.Argv, "-n", name, "-t", "all")
	}
	return list
}

// Usage implements scheduler.Accountant.
func (s Slurm) Usage(id scheduler.ID) scheduler.Command {
	number, cluster := s.place(id)
	return command("sacct", cluster, "--federation", "-n", "-P", "-j", number, "-o", "jobid,elapsedraw,totalcpu,alloccpus,maxrss,nodelist")
}

// splitID splits "12;cluster", sbatch's output in a federation.
func splitID(id scheduler.ID) (number, cluster string) {
	number, cluster, _ = strings.Cut(string(id), ";")
	return number, cluster
}

// place is the number of a job, and its cluster.
func (s Slurm) place(id scheduler.ID) (number, cluster string) {
	number, cluster = splitID(id)
	return number, cmp.Or(cluster, s.clusters)
}

// command builds a command. It requests times as seconds since 1970, which do not depend
// on a time zone (squeue(1), SLURM_TIME_FORMAT).
func command(program, cluster string, args ...string) scheduler.Command {
	argv := []string{program}
	if cluster != "" {
		argv = append(argv, "-M", cluster)
	}
	return scheduler.Command{Argv: append(argv, args...), Env: []string{"SLURM_TIME_FORMAT=%s", "LC_ALL=C"}}
}

// grammar contains sbatch's options from the manual pages and sources of Slurm 22.05 to
// 26.05 (src/common/slurm_opt.c). Reserved are those that the engine sets itself, and
// those with which sbatch prints something and submits nothing.
func grammar() scheduler.Grammar {
	var g scheduler.Grammar
	g.Add(scheduler.Required, `account/A acctg-freq batch bb bbf begin/b cluster-constraint cluster clusters/M comment constraint/C container
		container-id container-type context core-spec/S cores-per-socket cpu-freq cpus-per-gpu cpus-per-task/c deadline delay-boot
		dependency/d distribution/m exclude/x extra extra-node-info/B gpu-bind gpu-freq gpus/G gpus-per-node
		gpus-per-socket gpus-per-task gres gres-flags hint input/i kill-on-invalid-dep licenses/L mail-type
		mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mem-update mincpus network nodefile/F nodelist/w nodes/N
		ntasks/n ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode partition/p power prefer
		priority profile qos/q reservation resources segment signal sockets-per-node switches tasks-per-node thread-spec threads-per-core
		time/t time-min tmp tree-width tres-bind tres-per-task wait-all-nodes wckey`)
	g.Add(scheduler.Optional, `exclusive get-user-env nice no-kill/k oom-kill-step propagate resv-ports`)
	g.Add(scheduler.None, `consolidate-segments contiguous hold/H ignore-pbs no-requeue overcommit/O oversubscribe/s quiet/Q reboot
		spread-job spread-segments stepmgr use-min-nodes verbose/v`)
	g.Reserve(scheduler.Required, `array/a autocomplete chdir/D error/e export export-file gid job-name/J output/o uid wrap`)
	g.Reserve(scheduler.Optional, `requeue`)
	g.Reserve(scheduler.None, `external help/h parsable test-only usage version/V wait/W`)
	return g
}

// submitPatterns match the output of sbatch. Its last line for a failed submission is
// "Batch job submission failed: X" (src/sbatch/sbatch.c), where X is an error of
// slurm_errtab (src/common/slurm_errno.c) or of strerror(3), never a text of the site;
// messages of plugins and details from the controller precede it. The tables are those of
// Slurm 20.11 to 26.05.
func submitPatterns() scheduler.SubmitPatterns {
	return scheduler.SubmitPatterns{
		ID:    scheduler.Pattern(`^(?:Submitted batch job )?([1-9][0-9]{0,9}(?:;[A-Za-z0-9_.-]+)?)$`),
		Error: scheduler.Pattern(`^[\w.+-]+: (?:error: Batch job submission failed|fatal): (.*)$`),
		Unreachable: scheduler.Sentences(
			// Errors of the configuration, before the request.
			`Unable to process configuration file`, `Could not establish a configuration source`,
			// Errors of connect(2), before the request is sent.
			`Unable to contact slurm controller \(connect failure\)`, `Communication connection failure`,
			`Connection timed out establishing`, `Connection refused`, `No route to host`, `Network is unreachable`, `Host is unreachable`,
			// Errors of a controller that did not process the request.
			`Slurm backup controller in standby mode`, `Controller is in standby mode, try a different controller`,
			`Rate limit exceeded, please retry (?:momentarily|later)`,
		),
		// MaxJobCount, after two minutes of retries by sbatch.
		Full: scheduler.Sentences(`MaxJobCount limit reached`, `Resource temporarily unavailable`),
		Uncertain: scheduler.Sentences(
			`Socket timed out on send/recv operation`, `Zero Bytes were transmitted or received`,
			`Unable to contact slurm controller \((?:send|receive|shutdown) failure\)`,
			`Message (?:send|receive) failure`, `Communication shutdown failure`, `Unexpected message received`,
			`Unexpected missing socket error`, `Insane message length`, `Incompatible versions of client and server code`,
			authentication, `Invalid authentication credential`, `Authentication credential expired`,
			`Connection (?:rejected by handler|forced closed by quiesce timeout|timed out (?:writing|reading))`,
			`Kernel reported delayed socket error after successful write\(\), client side likely closed`,
			`Process is shutting down and closing all communications`,
			`Connection (?:reset by peer|timed out)`, `Broken pipe`, `Interrupted system call`, `Input/output error`,
			`Transport endpoint is not connected`, `No error`, `Success`,
		),
	}
}

const (
	// authentication is the error of a reply that cannot be authenticated, and of a
	// request, which then was not sent.
	authentication = `Protocol authentication error`
	// policy is the error for all kinds of limits; the line before it names the limit.
	policy = `Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)`
)

var (
	// unsigned is printed by the authentication plugin when a request cannot be signed
	// (src/plugins/auth/munge/auth_munge.c).
	unsigned = scheduler.Pattern(`(?m)^[\w.+-]+: error: Munge encode failed: `)
	// submitLimit are the limits on the number of submitted jobs
	// (src/common/job_state_reason.c), with the error after them.
	submitLimit = scheduler.Pattern(`(?m)^[\w.+-]+: error: (?:Assoc(?:Max|Grp)SubmitJobs?Limit|QOS(?:MaxSubmitJobPerUser|GrpSubmitJobs)Limit|MaxSubmitJobsPerAccount)\n` +
		`[\w.+-]+: error: Batch job submission failed: Job violates accounting/QOS policy`)
)

// ParseSubmit implements scheduler.Scheduler.
func (Slurm) ParseSubmit(r scheduler.Reply) scheduler.Submission {
	s := submitPatterns().Classify(r)
	output := strings.ReplaceAll(r.Stderr+"\n"+r.Stdout, "\r\n", "\n")
	switch {
	case s.Error == authentication && unsigned().MatchString(output):
		s.Outcome = scheduler.Unreachable
	case s.Error == policy && submitLimit().MatchString(output):
		s.Outcome = scheduler.Full
	}
	return s
}

var (
	idForm     = scheduler.Pattern(`^[1-9][0-9]{0,9}(;[A-Za-z0-9_.-]+)?$`)
	unknownJob = scheduler.Pattern(`Invalid job id specified`)
)

// parseQueue parses squeue's line "state|start|nodes|reason"; the reason is the last
// field because only it may contain a bar. No line means that the job left the queue.
func parseQueue(r scheduler.Reply) scheduler.State {
	switch {
	case r.Err != nil || r.Code != 0:
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr)}
	case strings.TrimSuffix(r.Stdout, "\n") == "":
		return scheduler.State{Missing: true}
	}
	lines := dropRevoked(strings.Split(strings.TrimSuffix(r.Stdout, "\n"), "\n"), func(line string) bool { return strings.HasPrefix(line, revoked+"|") })
	return queueLine(strings.Join(lines, "\n"))
}

// revoked is the state of a federated job in a cluster that does not run it, because another
// one does, until that one's record of the job is removed.
const revoked = "REVOKED"

// dropRevoked removes the records of clusters that do not run the job, where there are others.
func dropRevoked(records []string, isRevoked func(string) bool) []string {
	if rest := slices.DeleteFunc(slices.Clone(records), isRevoked); len(rest) > 0 {
		return rest
	}
	return records
}

func queueLine(line string) scheduler.State {
	f := strings.SplitN(line, "|", 4)
	if len(f) != 4 || strings.Contains(line, "\n") {
		return scheduler.State{}
	}
	s := stateOf(f[0], f[3])
	s.Start, s.Nodes = scheduler.ParseUnix(f[1]), f[2]
	return s
}

// parseControl parses the words "Key=value" of scontrol's line.
func parseControl(r scheduler.Reply) scheduler.State {
	if r.Err != nil || r.Code != 0 {
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr+r.Stdout)}
	}
	lines := dropRevoked(strings.Split(strings.TrimSpace(r.Stdout), "\n"), func(line string) bool { return strings.Contains(line, " JobState="+revoked+" ") })
	f := map[string]string{}
	for _, word := range strings.Fields(strings.Join(lines, "\n")) {
		key, value, ok := strings.Cut(word, "=")
		if _, twice := f[key]; ok && !twice {
			f[key] = value
		}
	}
	s := stateOf(f["JobState"], f["Reason"])
	s.Start, s.Nodes, s.Exit = scheduler.ParseUnix(f["StartTime"]), f["NodeList"], exitOf(f["ExitCode"])
	return s
}

// parseAccounting parses sacct's line "state|code:signal|start|nodes". No line proves
// nothing: the record may not have reached the database yet.
func parseAccounting(r scheduler.Reply) scheduler.State {
	f := strings.Split(strings.TrimSuffix(r.Stdout, "\n"), "|")
	if r.Err != nil || r.Code != 0 || len(f) != 4 {
		return scheduler.State{Missing: r.Err == nil && r.Code == 0 && r.Stdout == ""}
	}
	name, by, _ := strings.Cut(f[0], " by ")
	s := stateOf(name, "")
	if s.Phase != scheduler.Done {
		return scheduler.State{Missing: s.Phase != scheduler.Unknown} // an outdated record
	}
	s.By, s.Exit, s.Start, s.Nodes = by, exitOf(f[1]), scheduler.ParseUnix(f[2]), strings.TrimPrefix(f[3], "None assigned")
	return s
}

// stateOf parses a state and its reason; a name that is not in the table is Unknown.
// Some versions add flags after a plus sign.
func stateOf(name, reason string) scheduler.State {
	name, _, _ = strings.Cut(name, "+")
	row := states()[name]
	if row.Phase == scheduler.Unknown {
		return scheduler.State{}
	}
	s := row.State(name)
	s.Reason = reasonOf(reason)
	if row.Kind != queued {
		s.Reason.Kind, s.Reason.Description = row.Kind, row.Description
	}
	return s
}

var exitForm = scheduler.Pattern(`^([0-9]{1,3}):([0-9]{1,3})$`)

func exitOf(text string) scheduler.Exit {
	m := exitForm().FindStringSubmatch(text)
	if m == nil {
		return scheduler.Exit{}
	}
	code, _ := strconv.Atoi(m[1])
	signal, _ := strconv.Atoi(m[2])
	return scheduler.Exit{Known: code < 256 && signal < 128, Code: code, Signal: signal}
}

// ParseFind implements scheduler.Finder: lines "id|name|state|start|nodes|reason", those of
// other clusters than the local one after "CLUSTER: name". A federated job has a record in
// each cluster, and where it does not run one with its id or, in the other clusters than the
// one of its submission, without a number.
func (Slurm) ParseFind(r scheduler.Reply) (found []scheduler.Found, err error) {
	cluster := ""
	err = scheduler.ParseLines(r, "squeue", func(line string) {
		if name, ok := strings.CutPrefix(line, "CLUSTER: "); ok {
			cluster = ";" + strings.TrimSpace(name)
			return
		}
		id, rest, _ := strings.Cut(line, "|")
		name, rest, ok := strings.Cut(rest, "|")
		full := scheduler.ID(id + cluster)
		if !ok || !idForm().MatchString(string(full)) || id == noNumber { // a task of an array, or another format
			return
		}
		job := scheduler.Found{ID: full, Name: name, State: queueLine(rest)}
		at := slices.IndexFunc(found, func(f scheduler.Found) bool { return f.ID == full })
		switch {
		case at < 0:
			found = append(found, job)
		case !strings.HasPrefix(rest, revoked+"|"):
			found[at] = job
		}
	})
	return found, err
}

// noNumber is Slurm's number for none (NO_VAL of slurm/slurm.h).
const noNumber = "4294967294"

// ParseUsage implements scheduler.Accountant. The job's own line contains times and
// processors, the lines of its steps contain the memory.
func (Slurm) ParseUsage(r scheduler.Reply) (u scheduler.Usage) {
	if r.Err != nil || r.Code != 0 {
		return u
	}
	for line := range strings.Lines(r.Stdout) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(f) != 6 {
			continue
		}
		u.Memory = max(u.Memory, scheduler.ParseMemory(f[4]))
		if strings.Contains(f[0], ".") {
			continue
		}
		seconds, _ := strconv.ParseInt(f[1], 10, 32)
		u.CPUs, _ = strconv.Atoi(f[3])
		u.Elapsed, u.CPU, u.Nodes = time.Duration(seconds)*time.Second, scheduler.ParseClock(f[2]), f[5]
	}
	return u
}
