package fakeschedulers

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func (p *program) sgeSub(args []string) error {
	known := map[string]int{"-w": 1, "-terse": 0, "-b": 1, "-shell": 1, "-r": 1, "-j": 1, "-N": 1, "-o": 1, "-wd": 1, "-l": 1, "-q": 1, "-pe": 2, "-h": 0, "-P": 1}
	o, rest, err := p.flags(args, known, func(flag string) error { return failf(2, "qsub: invalid option argument \"%s\"", flag) })
	user := owner(Job{UID: os.Getuid()})
	switch {
	case err != nil:
		return err
	case len(rest) != 1 || o["-b"] != "y":
		return failf(1, "Unable to run job: the fake takes one program, not %q.\nExiting.", rest)
	case strings.ContainsAny(o["-N"]+user, "\\"):
		return failf(1, "Unable to run job: Backslash ('\\') not allowed in objectname\nExiting.")
	case strings.ContainsAny(o["-N"]+user, "@"):
		return failf(1, "Unable to run job: At ('@') not allowed in objectname\nExiting.")
	case strings.ContainsAny(o["-N"], "\n\t\r/:*?"):
		return failf(1, "Unable to run job: %s not allowed in objectname\nExiting.", o["-N"])
	case p.store.behaviour().Refuse != "":
		return failf(1, "Unable to run job: %s\nExiting.", p.store.behaviour().Refuse)
	case p.full():
		return failf(25, "Unable to run job: job rejected: only %d jobs are allowed per user (current job count: %d)\nExiting.", p.store.behaviour().MaxJobs, p.store.behaviour().MaxJobs)
	case o["-q"] != "" && o["-q"] != "main.q":
		return failf(1, "Unable to run job: Job was rejected because job requests unknown queue \"%s\"\nExiting.", o["-q"])
	case strings.HasPrefix(o["-w"], "e") && strings.Contains(o["-l"], "arch=nothing"):
		return failf(1, "Unable to run job: error: no suitable queues\nExiting.")
	}
	j := p.fresh(o["-N"], sgePath(o["-o"]))
	j.Dir = sgeVariables(o["-wd"])
	for want := range strings.FieldsSeq(o["-l"]) {
		if limit, ok := strings.CutPrefix(want, "h_rt="); ok {
			j.Limit = clock(limit)
		}
	}
	if _, held := o["-h"]; held {
		j.Reason = "held"
	}
	id, err := p.submit(j, rest[0], func(f string) error {
		return failf(1, "Unable to read script file because of error: error opening %s", f)
	})
	if err == nil {
		fmt.Fprintln(p.out, id)
	}
	return err
}

// sgePath is the first path of a list "[[host]:]path,...".
func sgePath(list string) string {
	entry, _, _ := strings.Cut(list, ",")
	if _, path, ok := strings.Cut(entry, ":"); ok {
		entry = path
	}
	return sgeVariables(entry)
}

// sgeVariables expands Grid Engine's variables; two dollar signs are one.
func sgeVariables(path string) string {
	return strings.NewReplacer("$$", "$", "$HOME", "/expanded", "$USER", "expanded", "$JOB_ID", "expanded", "$JOB_NAME", "expanded", "$HOSTNAME", "expanded", "$TASK_ID", "expanded").Replace(path)
}

// sgeStat is "qstat -xml", in which a job that has ended is not, and "qstat -j ID".
func (p *program) sgeStat(args []string) error {
	if len(args) == 2 && args[0] == "-j" {
		return p.sgeJob(args[1])
	}
	o, _, err := p.flags(args, map[string]int{"-xml": 0, "-u": 1, "-s": 1, "-help": 0}, func(flag string) error { return failf(2, "error: unknown option \"%s\"", flag) })
	if err != nil {
		return err
	}
	jobs, err := p.queue("")
	if err != nil {
		return err
	}
	if o["-u"] == "$user" {
		delete(o, "-u")
	}
	if state := o["-s"]; state != "" && state != "a" {
		return failf(1, "qstat: the fake knows only \"-s a\", not %q", state)
	}
	lists := map[bool]string{}
	for _, j := range jobs {
		if j.over() || (o["-u"] != "" && o["-u"] != owner(j)) || (o["-u"] == "" && !allowed(j)) {
			continue
		}
		state, running, queue, times := "qw", false, "", "JB_submission_time"
		switch {
		case j.State == "RUNNING":
			state, running, queue, times = "r", true, "main.q@ge1", "JAT_start_time"
			if j.Reason == "held" {
				state = "hr"
			}
		case j.Reason == "held":
			state = "hqw"
		}
		if j.Cancelled {
			state = "d" + state
		}
		kind := map[bool]string{true: "running", false: "pending"}[running]
		lists[running] += fmt.Sprintf("    <job_list state=\"%s\">\n      <JB_job_number>%d</JB_job_number>\n      <JAT_prio>0.5</JAT_prio>\n      <JB_name>%s</JB_name>\n"+
			"      <JB_owner>%s</JB_owner>\n      <state>%s</state>\n      <%s>%s</%s>\n      <queue_name>%s</queue_name>\n      <slots>1</slots>\n    </job_list>\n",
			kind, j.ID, j.Name, owner(j), state, times, j.Start.Format("2006-01-02T15:04:05"), times, queue)
	}
	fmt.Fprintf(p.out, "<?xml version='1.0'?>\n<job_info>\n  <queue_info>\n%s  </queue_info>\n  <job_info>\n%s  </job_info>\n</job_info>\n", lists[true], lists[false])
	return nil
}

func (p *program) sgeJob(id string) error {
	jobs, err := p.queue(id)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		if strconv.Itoa(j.ID) == id && !j.over() {
			fmt.Fprintf(p.out, "%s\njob_number:                 %d\nowner:                      %s\njob_name:                   %s\n", strings.Repeat("=", 62), j.ID, owner(j), j.Name)
			return nil
		}
	}
	return failf(1, "Following jobs do not exist: \n%s", id)
}

// sgeAcct has the record of a job some time after its end, and none of one that
// was deleted before it ran.
func (p *program) sgeAcct(args []string) error {
	if len(args) != 2 || args[0] != "-j" {
		return failf(1, "error: the fake knows only \"qacct -j ID\", not %q", args)
	}
	j, ok := p.job(args[1])
	delay := time.Duration(orElse(p.store.behaviour().AccountingDelay, 0.5) * float64(time.Second))
	if !ok || !j.over() || j.Node == "" || time.Since(j.End) < delay {
		return failf(1, "error: job id %s not found", args[1])
	}
	failed := "0    "
	switch {
	case j.State == "TIMEOUT":
		failed = "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit"
	case j.State == "NODE_FAIL":
		failed = "21  : in recognizing job"
	case j.Signal != 0:
		failed = "100 : assumedly after job"
	}
	fmt.Fprintf(p.out, "%s\nqname        main.q\nhostname     ge1\nowner        %s\njobname      %s\njobnumber    %d\nstart_time   %s\nslots        1\nfailed       %s\nexit_status  %d\nru_wallclock 1s\ncpu          0.007s\nmaxvmem      4.902MB\n",
		strings.Repeat("=", 62), owner(j), j.Name, j.ID, j.Start.Format(time.ANSIC), failed, j.code())
	return nil
}

func (p *program) sgeDel(args []string) error {
	o, rest, err := p.flags(args, map[string]int{"-u": 1}, func(flag string) error { return failf(1, "error: unknown option \"%s\"", flag) })
	if err != nil || len(rest) != 1 {
		return err
	}
	jobs, err := p.queue("")
	for _, j := range jobs {
		if j.over() || (fmt.Sprint(j.ID) != rest[0] && (j.Name != rest[0] || o["-u"] != owner(j))) {
			continue
		}
		if !allowed(j) {
			return failf(1, "%s - you do not have the necessary privileges to delete the job \"%d\"", owner(j), j.ID)
		}
		fmt.Fprintf(p.out, "%s has registered the job %d for deletion\n", owner(j), j.ID)
		return p.end(j)
	}
	if err == nil {
		fmt.Fprintf(p.out, "denied: job \"%s\" does not exist\n", rest[0])
		err = failf(1, "")
	}
	return err
}
