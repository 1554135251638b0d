package fakes

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

// pbsSub is qsub of OpenPBS 23.06. Output is kept on the node unless -k says
// otherwise, and then replaces what is in the file.
func (p *program) pbsSub(args []string) error {
	known := map[string]int{"-N": 1, "-j": 1, "-k": 1, "-o": 1, "-r": 1, "-l": 1, "-q": 1, "-A": 1, "-P": 1, "-h": 0, "-f": 0, "-W": 1}
	o, rest, err := p.flags(apart(args, known), known, func(flag string) error {
		return failf(2, "qsub: invalid option -- '%s'\nusage: qsub [-a date_time] [-A account_string] ...", strings.TrimLeft(flag, "-"))
	})
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return failf(2, "usage: qsub [-a date_time] [-A account_string] ...")
	}
	if o["-q"] != "" && o["-q"] != "workq" {
		return failf(170, "qsub: Unknown queue")
	}
	j := p.fresh(o["-N"], o["-o"])
	j.Spool = !strings.Contains(o["-k"], "d")
	for _, want := range strings.FieldsFunc(o["-l"], func(r rune) bool { return r == ' ' || r == ',' }) {
		switch name, value, _ := strings.Cut(want, "="); name {
		case "walltime":
			j.Limit = clock(value)
		case "select":
			if chunks := clock(strings.SplitN(value, ":", 2)[0]); chunks > 2 {
				j.Reason = "Can Never Run: Insufficient amount of resource: ncpus (R: 50 A: 2 T: 2)"
			}
		}
	}
	if _, held := o["-h"]; held {
		j.Reason = "held"
	}
	id, err := p.submit(j, rest[0], func(f string) error { return failf(1, "qsub: script file:: %s", f) })
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

func (p *program) pbsSelect(args []string) error {
	o, _, err := p.flags(args, map[string]int{"-u": 1, "-N": 1}, func(flag string) error { return failf(2, "qselect: invalid option -- %s", flag) })
	if err != nil {
		return err
	}
	jobs, err := p.queue()
	for _, j := range jobs {
		if !j.over() && (o["-N"] == "" || o["-N"] == j.Name) && o["-u"] == owner(j) {
			fmt.Fprintln(p.out, pbsID(j))
		}
	}
	return err
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
