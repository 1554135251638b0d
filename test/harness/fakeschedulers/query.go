package fakeschedulers

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const invalid = "slurm_load_jobs error: Invalid job id specified"

func (p *program) squeue(args []string) error {
	o, rest, err := p.options(args, map[string]bool{"-h": false, "-a": false, "--sibling": false, "-t": true, "-j": true, "-o": true, "-u": true, "-n": true})
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return failf(1, "squeue: error: Unrecognized option: %s", rest[0])
	}
	jobs, err := p.queue(o["-j"])
	if err != nil {
		return err
	}
	if _, bare := o["-h"]; !bare {
		fmt.Fprintln(p.out, heads.Replace(o["-o"]))
	}
	known := false
	for _, j := range jobs {
		if o["-j"] != "" && o["-j"] != strconv.Itoa(j.ID) {
			continue
		}
		known = true
		if (o["-t"] == "" && j.over()) || (o["-n"] != "" && o["-n"] != j.Name) || (o["-u"] != "" && o["-u"] != owner(j)) {
			continue
		}
		fmt.Fprintln(p.out, line(o["-o"], j))
	}
	if o["-j"] != "" && !known {
		return failf(1, "%s", invalid)
	}
	return nil
}

// queue lists the jobs that the controller still has, or the one with a number.
func (p *program) queue(number string) ([]Job, error) {
	if p.store.behaviour().Lost {
		return nil, nil
	}
	return p.store.only(number)
}

func owner(j Job) string {
	u, err := user.LookupId(strconv.Itoa(j.UID))
	if err != nil {
		return strconv.Itoa(j.UID)
	}
	return u.Username
}

// heads are the columns of squeue's header.
var heads = strings.NewReplacer("%i", "JOBID", "%j", "NAME", "%T", "STATE", "%S", "START_TIME", "%N", "NODELIST", "%r", "REASON")

// line fills in squeue's format letters.
func line(format string, j Job) string {
	return strings.NewReplacer("%i", strconv.Itoa(j.ID), "%j", j.Name, "%T", j.State, "%S", unix(j.Start), "%N", j.Node, "%r", j.Reason).Replace(format)
}

func unix(t time.Time) string {
	if t.IsZero() {
		return "N/A"
	}
	return strconv.FormatInt(t.Unix(), 10)
}

func (p *program) scontrol(args []string) error {
	if len(args) == 1 && args[0] == "ping" {
		fmt.Fprintln(p.out, "Slurmctld(primary) at localhost is UP")
		return nil
	}
	const known = "-o -a --sibling show job"
	if len(args) != 6 || strings.Join(args[:5], " ") != known {
		return failf(1, "scontrol: the fake knows only \"%s ID\", not %q", known, args)
	}
	id, _ := strconv.Atoi(args[5])
	j, err := p.store.Job(id)
	if err != nil || p.store.behaviour().Lost {
		return failf(1, "%s", invalid)
	}
	fmt.Fprintf(p.out, "JobId=%d JobName=%s UserId=%s(%d) JobState=%s Reason=%s Restarts=0 ExitCode=%d:%d StartTime=%s EndTime=%s NodeList=%s BatchHost=%s StdOut=%s\n",
		j.ID, j.Name, owner(j), j.UID, j.State, strings.ReplaceAll(j.Reason, " ", "_"), j.Code, j.Signal, unix(j.Start), unix(j.End), j.Node, j.Node, j.Output)
	return nil
}

func (p *program) sacct(args []string) error {
	o, rest, err := p.options(args, map[string]bool{"--federation": false, "-X": false, "-n": false, "-P": false, "-j": true, "-o": true})
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return failf(1, "sacct: error: unexpected %q", rest)
	}
	if p.store.behaviour().NoAccounting {
		return failf(1, "Slurm accounting storage is disabled")
	}
	id, _ := strconv.Atoi(o["-j"])
	j, err := p.store.Job(id)
	if err != nil {
		return nil
	}
	fmt.Fprintln(p.out, strings.Join(columns(strings.Split(o["-o"], ","), j, strconv.Itoa(j.ID)), "|"))
	if _, only := o["-X"]; !only {
		fmt.Fprintln(p.out, strings.Join(columns(strings.Split(o["-o"], ","), j, strconv.Itoa(j.ID)+".batch"), "|"))
	}
	return nil
}

func columns(names []string, j Job, id string) []string {
	memory, state := "", j.State
	if strings.HasSuffix(id, ".batch") {
		memory = "1024K"
	} else if state == "CANCELLED" {
		state += fmt.Sprintf(" by %d", j.By)
	}
	var row []string
	for _, n := range names {
		row = append(row, map[string]string{
			"jobid": id, "state": state, "exitcode": fmt.Sprintf("%d:%d", j.Code, j.Signal), "start": unix(j.Start), "nodelist": j.Node,
			"elapsedraw": strconv.Itoa(int(j.End.Sub(j.Start).Seconds())), "totalcpu": "00:00.010", "alloccpus": "1", "maxrss": memory,
		}[n])
	}
	return row
}

func (p *program) scancel(args []string) error {
	o, rest, err := p.options(args, map[string]bool{"-u": true, "-n": true, "-s": true, "--full": false})
	if err != nil {
		return err
	}
	number := ""
	if o["-n"] == "" && len(rest) == 1 {
		number = rest[0]
	}
	jobs, err := p.store.only(number)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		named := o["-n"] != "" && o["-n"] == j.Name && o["-u"] == owner(j)
		if j.over() || !(named || (len(rest) == 1 && rest[0] == strconv.Itoa(j.ID))) {
			continue
		}
		if err := p.cancel(j, o); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) cancel(j Job, o map[string]string) error {
	_, full := o["--full"]
	switch {
	case syscall.Getuid() != 0 && syscall.Getuid() != j.UID:
		return failf(210, "scancel: error: Kill job error on job id %d: Access/permission denied", j.ID)
	case o["-s"] != "" && o["-s"] != "TERM":
		return failf(1, "scancel: the fake sends TERM only, not %s", o["-s"])
	case o["-s"] != "" && !full:
		return nil // only the steps, of which there are none
	case o["-s"] != "":
		if j.PID > 0 {
			_ = syscall.Kill(-j.PID, syscall.SIGTERM)
		}
		return nil
	}
	return p.store.Change(j.ID, func(j *Job) { j.Cancelled, j.By = true, syscall.Getuid() })
}
