package fakes

import (
	"fmt"
	"strconv"
	"strings"
)

func (p *program) cobaltSub(args []string) error {
	known := map[string]int{
		"--jobname": 1, "--output": 1, "--error": 1, "--debuglog": 1, "--cwd": 1, "--mode": 1,
		"-n": 1, "--nodecount": 1, "-t": 1, "--time": 1, "-q": 1, "-A": 1, "--project": 1, "-h": 0,
	}
	o, rest, err := p.flags(apart(args, known), known, func(flag string) error {
		return failf(2, "Usage: qsub [options] <executable> [<excutable options>]\n\nqsub: error: no such option: %s", flag)
	})
	if err != nil {
		return err
	}
	nodes, _ := strconv.Atoi(o["-n"] + o["--nodecount"])
	switch {
	case len(rest) != 1:
		return failf(2, "No executable specified")
	case o["-t"]+o["--time"] == "":
		return failf(2, "'time' not provided")
	case o["-q"] != "" && o["-q"] != "default":
		return failf(1, "Queue '%s' does not exist", o["-q"])
	case nodes > 2:
		return failf(1, "Node count out of realistic range")
	}
	j := p.fresh(o["--jobname"], o["--output"])
	j.Dir = o["--cwd"]
	minutes, _ := strconv.ParseFloat(o["-t"]+o["--time"], 64)
	j.Limit = minutes * orElse(p.store.behaviour().Minute, 60)
	if _, held := o["-h"]; held {
		j.Reason = "held"
	}
	id, err := p.submit(j, rest[0], func(f string) error { return failf(2, "command %s not found, or is not a file", f) })
	if err == nil {
		fmt.Fprintln(p.out, id)
	}
	return err
}

// cobaltStat shows jobs that have not ended. Of others it says nothing.
func (p *program) cobaltStat(args []string) error {
	o, rest, err := p.flags(args, map[string]int{"--header": 1, "-u": 1, "--version": 0}, func(flag string) error {
		return failf(2, "qstat: error: no such option: %s", flag)
	})
	if err != nil {
		return err
	}
	names := strings.Split(o["--header"], ":")
	jobs, err := p.queue()
	var rows []string
	for _, j := range jobs {
		if j.over() || (len(rest) == 1 && rest[0] != fmt.Sprint(j.ID)) || (o["-u"] != "" && o["-u"] != owner(j)) {
			continue
		}
		rows = append(rows, cobaltRow(names, j))
	}
	if err != nil || len(rows) == 0 {
		return err
	}
	fmt.Fprintln(p.out, strings.Join(names, "  "))
	fmt.Fprintln(p.out, strings.Repeat("=", 60))
	for _, r := range rows {
		fmt.Fprintln(p.out, r)
	}
	return nil
}

func cobaltRow(names []string, j Job) string {
	state, place := "queued", "None"
	switch {
	case j.Reason == "held":
		state = "user_hold"
	case j.Cancelled:
		state, place = "killing", "n1"
	case j.State == "RUNNING":
		state, place = "running", "n1"
	}
	var row []string
	for _, n := range names {
		row = append(row, map[string]string{"JobID": fmt.Sprint(j.ID), "JobName": j.Name, "State": state, "Location": place, "User": owner(j)}[n])
	}
	return strings.Join(row, "  ")
}

func (p *program) cobaltDel(args []string) error {
	if len(args) != 1 {
		return failf(2, "No Jobid(s) given")
	}
	j, ok := p.job(args[0])
	switch {
	case !ok || j.over():
		return failf(1, "No jobs found")
	case !allowed(j):
		return failf(1, "You do not own job %s", args[0])
	}
	fmt.Fprintf(p.out, "      Deleted Jobs\nJobID  User\n===========\n%s  %s\n", args[0], owner(j))
	return p.end(j)
}
