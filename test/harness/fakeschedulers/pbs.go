package fakeschedulers

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"time"
)

func pbsID(j Job) string { return fmt.Sprintf("%d.pbs1", j.ID) }

func (p *program) pbsJob(id string) (Job, bool) {
	number, _, _ := strings.Cut(id, ".")
	return p.job(number)
}

// pbsLetters are the options of qsub (src/cmds/qsub.c of OpenPBS 23.06).
const pbsLetters = "a:A:c:C:e:fGhIj:J:k:l:m:M:N:o:p:q:r:R:S:u:v:VW:XzP:"

// pbsSub is qsub of OpenPBS 23.06, or of an older one. Output is kept on the node
// unless -k changes that, and then replaces the content of the file.
func (p *program) pbsSub(args []string) error {
	old := p.store.behaviour().Old
	if len(args) == 1 && args[0] == "--version" {
		fmt.Fprintln(p.out, "pbs_version = "+map[bool]string{true: "14.1.2", false: "23.06.06"}[old])
		return nil
	}
	o, rest, err := p.letters(args, pbsLetters, func(letter string) error {
		return failf(2, "qsub: invalid option -- '%s'\nusage: qsub [-a date_time] [-A account_string] ...", letter)
	})
	if err != nil {
		return err
	}
	output, err := pbsPath(o["-o"])
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return failf(2, "usage: qsub [-a date_time] [-A account_string] ...")
	case strings.Trim(o["-k"], "oed") != "" || old && strings.Contains(o["-k"], "d"):
		return failf(2, "qsub: illegal -k value\nusage: qsub [-a date_time] [-A account_string] ...")
	case p.store.behaviour().Refuse != "":
		return failf(15136&0xff, "qsub: %s", p.store.behaviour().Refuse)
	case o["-q"] != "" && o["-q"] != "workq":
		return failf(170, "qsub: Unknown queue")
	case p.full():
		return failf(15142&0xff, "qsub: would exceed queue workq's per-user limit")
	}
	j := p.pbsRequest(o, output)
	j.Spool = !strings.Contains(o["-k"], "d") && output != "/dev/null"
	return p.pbsSubmit(j, rest[0])
}

// pbsPath is the path of "[host:]path" (prepare_path.c): printable ASCII alone.
func pbsPath(text string) (string, error) {
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return "", failf(2, "qsub: illegal -o value\nusage: qsub [-a date_time] [-A account_string] ...")
	}
	if host, path, ok := strings.Cut(text, ":"); ok && !strings.Contains(host, "/") {
		text = path
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, `\,`, ","), "^array_index^", ""), nil
}

// pbsRequest is a job of the options that PBS and Torque have in common.
func (p *program) pbsRequest(o map[string]string, output string) Job {
	j := p.fresh(o["-N"], output)
	for _, want := range strings.FieldsFunc(o["-l"], func(r rune) bool { return r == ' ' || r == ',' }) {
		switch name, value, _ := strings.Cut(want, "="); name {
		case "walltime":
			j.Limit = clock(value)
		case "select", "nodes":
			if chunks := clock(strings.SplitN(value, ":", 2)[0]); chunks > 2 {
				j.Reason = "Can Never Run: Insufficient amount of resource: ncpus (R: 50 A: 2 T: 2)"
			}
		}
	}
	if _, held := o["-h"]; held {
		j.Reason = "held"
	}
	return j
}

func (p *program) pbsSubmit(j Job, script string) error {
	id, err := p.submit(j, script, func(f string) error { return failf(1, "qsub: script file:: %s", f) })
	if err == nil {
		fmt.Fprintln(p.out, pbsID(Job{ID: id}))
	}
	return err
}

// pbsStat is qstat with job history off, the default, or on.
func (p *program) pbsStat(args []string) error {
	o, rest, err := p.flags(args, map[string]int{"-f": 0, "-x": 0, "-F": 1, "-B": 0, "--version": 0}, func(flag string) error {
		return failf(2, "qstat: invalid option -- '%s'\nusage: qstat ...", strings.TrimLeft(flag, "-"))
	})
	if err != nil || len(rest) != 1 {
		return err
	}
	_, past := o["-x"]
	history := p.store.behaviour().History
	j, ok := p.pbsJob(rest[0])
	if o["-F"] == "json" && (!ok || (past && !history) || (j.over() && !past)) {
		fmt.Fprintf(p.out, "{\n\t\"timestamp\":\t%d,\n\t\"pbs_version\":\t\"23.06.06\",\n\t\"pbs_server\":\t\"pbs1\"\n}\n", time.Now().Unix())
	}
	switch {
	case past && !history:
		return failf(0, "qstat: PBS is not configured to maintain job history %s", rest[0])
	case !ok || (j.over() && !history):
		return failf(153, "qstat: Unknown Job Id %s", rest[0])
	case j.over() && !past:
		return failf(35, "qstat: %s Job has finished, use -x or -H to obtain historical job information", rest[0])
	}
	a := pbsAttributes(j)
	if o["-F"] == "json" {
		text, err := json.MarshalIndent(map[string]any{"timestamp": time.Now().Unix(), "pbs_version": "23.06.06", "pbs_server": "pbs1", "Jobs": map[string]any{pbsID(j): a}}, "", "\t")
		fmt.Fprintf(p.out, "%s\n", text)
		return err
	}
	fmt.Fprintf(p.out, "Job Id: %s\n", pbsID(j))
	for name, value := range a {
		fmt.Fprintln(p.out, wrap(fmt.Sprintf("    %s = %v", name, value)))
	}
	return nil
}

// wrap breaks a line as qstat -f does.
func wrap(line string) string {
	var b strings.Builder
	for len(line) > 79 {
		b.WriteString(line[:79] + "\n\t")
		line = line[79:]
	}
	return b.String() + line
}

func pbsAttributes(j Job) map[string]any {
	a := map[string]any{"Job_Name": j.Name, "Job_Owner": owner(j) + "@pbs1", "job_state": "R", "exec_host": "n1/0", "substate": 42}
	switch {
	case j.over():
		a["job_state"], a["substate"], a["Exit_status"] = "F", 92, j.code()
		switch {
		case j.State == "CANCELLED":
			a["substate"] = 91
			if j.Node == "" {
				delete(a, "Exit_status")
			}
		case j.State == "TIMEOUT":
			a["substate"], a["Exit_status"] = 93, -29
		case j.State == "NODE_FAIL":
			a["substate"], a["Exit_status"] = 93, -11
		case j.code() != 0:
			a["substate"] = 93
		}
	case j.Reason == "held":
		a["job_state"], a["substate"] = "H", 20
		delete(a, "exec_host")
	case j.State == "PENDING":
		a["job_state"], a["substate"] = "Q", 10
		delete(a, "exec_host")
		if j.Reason != "None" {
			a["comment"] = j.Reason
		}
	}
	return a
}

// pbsSelect is qselect, whose list of users has hosts behind "@".
func (p *program) pbsSelect(args []string) error {
	return p.selectJobs(args, "a:A:c:h:HJl:N:p:q:r:s:t:Tu:xP:")
}

func (p *program) selectJobs(args []string, known string) error {
	o, rest, err := p.letters(args, known, func(letter string) error {
		return failf(2, "qselect: invalid option -- '%s'\nusage: qselect ...", letter)
	})
	if err != nil || len(rest) > 0 {
		return err
	}
	jobs, err := p.queue("")
	for _, j := range jobs {
		if !j.over() && (o["-N"] == "" || o["-N"] == j.Name) && (o["-u"] == "" || listed(owner(j), o["-u"])) {
			fmt.Fprintln(p.out, pbsID(j))
		}
	}
	return err
}

// listed reports whether a user is in a list "user[@host],...".
func listed(user, list string) bool {
	for entry := range strings.SplitSeq(list, ",") {
		name, host, _ := strings.Cut(entry, "@")
		if name == user && (host == "" || host == "pbs1") {
			return true
		}
	}
	return false
}

func (p *program) pbsSig(args []string) error {
	if len(args) != 3 || args[0] != "-s" || args[1] != "SIGTERM" {
		return failf(2, "usage: qsig [-s signal] job_identifier...")
	}
	j, ok := p.pbsJob(args[2])
	switch {
	case !ok || j.over():
		return failf(153, "qsig: Unknown Job Id %s", args[2])
	case j.State != "RUNNING":
		return failf(168, "qsig: Request invalid for state of job %s", args[2])
	case !allowed(j):
		return failf(159, "qsig: Unauthorized Request %s", args[2])
	}
	p.signal(j, syscall.SIGTERM)
	return nil
}

func (p *program) pbsDel(args []string) error {
	if len(args) != 1 {
		return failf(2, "usage: qdel [-W force|suppress_email=X] [-x] job_identifier...")
	}
	j, ok := p.pbsJob(args[0])
	switch {
	case !ok || (j.over() && !p.store.behaviour().History):
		return failf(153, "qdel: Unknown Job Id %s", args[0])
	case j.over():
		return failf(35, "qdel: Job has finished %s", args[0])
	case !allowed(j):
		return failf(159, "qdel: Unauthorized Request %s", args[0])
	}
	return p.end(j)
}
