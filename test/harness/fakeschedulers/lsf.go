package fakeschedulers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

func (p *program) bsub(args []string) error {
	known := map[string]int{"-J": 1, "-o": 1, "-cwd": 1, "-rn": 0, "-n": 1, "-q": 1, "-W": 1, "-M": 1, "-P": 1, "-R": 1, "-H": 0}
	o, rest, err := p.flags(args, known, func(flag string) error {
		return failf(255, "%s: Illegal option. Job not submitted.", strings.TrimLeft(flag, "-"))
	})
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(o["-n"])
	switch {
	case p.store.behaviour().Refuse != "":
		return failf(255, "%s\nRequest aborted by esub. Job not submitted.", p.store.behaviour().Refuse)
	case p.full():
		return p.lsfThreshold()
	case len(rest) != 1:
		return failf(255, "Empty job. Job not submitted.")
	case o["-q"] != "" && o["-q"] != "normal":
		return failf(255, "%s: No such queue. Job not submitted.", o["-q"])
	case n > 2:
		return failf(255, "Too many processors requested. Job not submitted.")
	}
	j := p.fresh(o["-J"], lsfPattern(o["-o"]))
	j.Dir = lsfPattern(o["-cwd"])
	if j.Dir == "" {
		j.Dir, _ = os.Getwd()
	}
	if o["-W"] != "" {
		j.Limit = clock(o["-W"]) * orElse(p.store.behaviour().Minute, 60)
	}
	if _, held := o["-H"]; held {
		j.Reason = "held"
	}
	// What is submitted is a line for a shell.
	line, err := exec.Command("/bin/sh", "-c", "printf %s "+rest[0]).Output()
	if err != nil {
		return failf(255, "%s: Bad argument. Job not submitted.", rest[0])
	}
	id, err := p.submit(j, string(line), func(f string) error { return failf(255, "%s: Cannot open. Job not submitted.", f) })
	if err == nil {
		fmt.Fprintf(p.out, "Job <%d> is submitted to default queue <normal>.\n", id)
	}
	return err
}

// lsfThreshold is bsub at MAX_PEND_JOBS: it retries LSB_NTRIES times, and without end by
// default.
func (p *program) lsfThreshold() error {
	const threshold = "User <%s>: Pending job threshold reached."
	if os.Getenv("LSB_NTRIES") == "" {
		fmt.Fprintf(os.Stderr, threshold+" Retrying in 60 seconds...\n", owner(Job{UID: os.Getuid()}))
		select {}
	}
	return failf(255, threshold+" Job not submitted.", owner(Job{UID: os.Getuid()}))
}

// lsfPattern expands the patterns of a path.
func lsfPattern(path string) string {
	return lsfPatterns.ReplaceAllString(path, "expanded")
}

var lsfPatterns = regexp.MustCompile(`%(?:EJ|EI|JG|J|I|P|U|G|H)`)

// lsfState is bjobs' name of a job's state, with the reason of its end.
func lsfState(j Job) (stat, why string) {
	switch {
	case j.over() && j.State == "CANCELLED":
		return "EXIT", "TERM_OWNER: job killed by owner"
	case j.over() && j.State == "TIMEOUT":
		return "EXIT", "TERM_RUNLIMIT: job killed after reaching LSF run time limit"
	case j.over() && j.State == "NODE_FAIL":
		return "EXIT", "TERM_ZOMBIE: job exited while LSF is not available"
	case j.over() && j.code() != 0:
		return "EXIT", ""
	case j.over():
		return "DONE", ""
	case j.Reason == "held":
		return "PSUSP", ""
	case j.State == "RUNNING":
		return "RUN", ""
	}
	return "PEND", ""
}

func (p *program) bjobs(args []string) error {
	o, rest, err := p.flags(args, map[string]int{"-a": 0, "-json": 0, "-o": 1, "-u": 1, "-J": 1, "-V": 0}, func(flag string) error {
		return failf(255, "bjobs: illegal option -- %s\nUsage: bjobs ...", flag)
	})
	if err != nil {
		return err
	}
	records := []map[string]string{}
	if len(rest) == 1 {
		if j, ok := p.job(rest[0]); ok {
			records = append(records, lsfRecord(j))
		} else {
			records = append(records, map[string]string{"JOBID": rest[0], "ERROR": fmt.Sprintf("Job <%s> is not found", rest[0])})
		}
		return p.lsfJSON(records)
	}
	_, all := o["-a"]
	jobs, err := p.queue("")
	for _, j := range jobs {
		if (o["-J"] == "" || o["-J"] == j.Name) && (all || !j.over()) && o["-u"] == owner(j) {
			records = append(records, lsfRecord(j))
		}
	}
	switch {
	case err != nil:
		return err
	case len(records) == 0 && o["-J"] != "":
		return failf(0, "Job <%s> is not found", o["-J"])
	case len(records) == 0:
		return failf(0, "No unfinished job found")
	}
	return p.lsfJSON(records)
}

func (p *program) lsfJSON(records []map[string]string) error {
	text, err := json.MarshalIndent(map[string]any{"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}, "", "  ")
	fmt.Fprintf(p.out, "%s\n", text)
	return err
}

func lsfRecord(j Job) map[string]string {
	stat, why := lsfState(j)
	r := map[string]string{"JOBID": strconv.Itoa(j.ID), "JOB_NAME": j.Name, "STAT": stat, "EXIT_CODE": "", "EXIT_REASON": why, "EXEC_HOST": j.Node, "PEND_REASON": ""}
	if stat == "EXIT" && j.code() != 0 {
		r["EXIT_CODE"] = strconv.Itoa(j.code())
	}
	switch {
	case stat == "PSUSP":
		r["PEND_REASON"] = "Job was suspended by the user while pending;"
	case stat == "PEND" && j.Reason == "None":
		r["PEND_REASON"] = "New job is waiting for scheduling;"
	case stat == "PEND":
		r["PEND_REASON"] = j.Reason
	}
	return r
}

// bhist prints the events of a job, broken at 80 columns.
func (p *program) bhist(args []string) error {
	if len(args) != 2 || args[0] != "-l" {
		return failf(255, "Usage: bhist [-l] jobId")
	}
	j, ok := p.job(args[1])
	if !ok {
		return failf(255, "No matching job found")
	}
	const at = "Fri Nov 20 18:00:00: "
	lines := []string{fmt.Sprintf("Job <%d>, Job Name <%s>, User <%s>, Project <default>, Command <%s>", j.ID, j.Name, owner(j), p.store.script(j.ID)), at + "Submitted from host <login1>, to Queue <normal>;"}
	if !j.Start.IsZero() {
		lines = append(lines, at+"Starting (Pid 4711);")
	}
	if stat, why := lsfState(j); stat == "EXIT" {
		lines = append(lines, fmt.Sprintf("%sExited with exit code %d. The CPU time used is 0.1 seconds;", at, j.code()), at+strings.TrimSuffix("Completed <exit>; "+why, "; ")+";")
	} else if stat == "DONE" {
		lines = append(lines, at+"Done successfully. The CPU time used is 0.1 seconds;")
	}
	fmt.Fprintln(p.out)
	for _, line := range lines {
		for len(line) > 80 {
			fmt.Fprintln(p.out, line[:80])
			line = strings.Repeat(" ", 21) + line[80:]
		}
		fmt.Fprintln(p.out, line)
	}
	return nil
}

func (p *program) bkill(args []string) error {
	o, rest, err := p.flags(args, map[string]int{"-s": 1, "-u": 1, "-J": 1}, func(flag string) error { return failf(255, "bkill: illegal option -- %s", flag) })
	if err != nil || len(rest) != 1 {
		return err
	}
	if rest[0] == "0" {
		jobs, err := p.queue("")
		for _, j := range jobs {
			if j.Name == o["-J"] && !j.over() && allowed(j) {
				err = p.end(j)
			}
		}
		return err
	}
	j, ok := p.job(rest[0])
	switch {
	case !ok:
		return failf(255, "Job <%s>: No matching job found", rest[0])
	case j.over():
		return failf(255, "Job <%s>: Job has already finished", rest[0])
	case !allowed(j):
		return failf(255, "Job <%s>: Permission denied", rest[0])
	case o["-s"] == "TERM":
		p.signal(j, syscall.SIGTERM)
		fmt.Fprintf(p.out, "Job <%s> is being signaled\n", rest[0])
		return nil
	}
	fmt.Fprintf(p.out, "Job <%s> is being terminated\n", rest[0])
	return p.end(j)
}
