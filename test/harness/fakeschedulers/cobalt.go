package fakeschedulers

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
		return failf(2, "Usage: qsub.py --help\nUsage: qsub.py [options] <executable> [<excutable options>]\n\nqsub.py: error: no such option: %s", flag)
	})
	if err != nil {
		return err
	}
	nodes, _ := strconv.Atoi(o["-n"] + o["--nodecount"])
	switch {
	case p.store.behaviour().Refuse != "":
		return failf(1, "component error: XMLRPC failure <Fault 1005: %q> in system.validate_job\n", p.store.behaviour().Refuse)
	case p.full():
		return failf(1, "<Fault 1001: \"The limit of %d jobs per user in the 'default' queue has been reached\\n\">", p.store.behaviour().MaxJobs)
	case len(rest) != 1:
		return failf(1, "No executable or script specified")
	case o["-t"]+o["--time"] == "":
		return failf(1, "'time' not provided")
	case o["-q"] != "" && o["-q"] != "default":
		return failf(1, "<Fault 1001: \"trying to add job to non-existent queue '%s'\">", o["-q"])
	case nodes > 2:
		return failf(1, "node count out of realistic range")
	}
	j := p.fresh(o["--jobname"], o["--output"])
	j.Dir = o["--cwd"]
	minutes, _ := strconv.ParseFloat(o["-t"]+o["--time"], 64)
	j.Limit = minutes * orElse(p.store.behaviour().Minute, 60)
	if _, held := o["-h"]; held {
		j.Reason = "held"
	}
	// qsub leaves every blank out of the path.
	id, err := p.submit(j, strings.ReplaceAll(rest[0], " ", ""), func(f string) error { return failf(1, "command %s not found, or is not a file", f) })
	if err == nil {
		fmt.Fprintln(p.out, id)
	}
	return err
}

// cobaltStat shows jobs that have not ended. For another number it prints nothing and
// fails.
func (p *program) cobaltStat(args []string) error {
	o, rest, err := p.flags(args, map[string]int{"--header": 1, "-u": 1, "--version": 0}, func(flag string) error {
		return failf(2, "qstat.py: error: no such option: %s", flag)
	})
	if err != nil {
		return err
	}
	names := strings.Split(o["--header"], ":")
	jobs, err := p.queue("")
	rows := [][]string{names}
	for _, j := range jobs {
		if j.over() || (len(rest) == 1 && rest[0] != fmt.Sprint(j.ID)) || (o["-u"] != "" && o["-u"] != owner(j)) {
			continue
		}
		rows = append(rows, cobaltRow(names, j))
	}
	switch {
	case err != nil:
		return err
	case len(rest) == 1 && len(rows) == 1:
		return errExit{code: 1}
	}
	p.cobaltTable(rows)
	return nil
}

// cobaltTable pads each value to its column's width and two blanks more.
func (p *program) cobaltTable(rows [][]string) {
	widths, total := make([]int, len(rows[0])), 0
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], len(row[i]))
		}
		total += widths[i] + 2
	}
	for n, row := range rows {
		for i, value := range row {
			fmt.Fprintf(p.out, "%-*s  ", widths[i], value)
		}
		fmt.Fprintln(p.out)
		if n == 0 {
			fmt.Fprintln(p.out, strings.Repeat("=", total))
		}
	}
}

func cobaltRow(names []string, j Job) []string {
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
	return row
}

func (p *program) cobaltDel(args []string) error {
	if len(args) != 1 {
		return failf(1, "No Jobid(s) given")
	}
	j, ok := p.job(args[0])
	if !ok || j.over() || !allowed(j) {
		return nil // it finds no such job of the caller's, and prints nothing
	}
	fmt.Fprintln(p.out, "      Deleted Jobs")
	p.cobaltTable([][]string{{"JobID", "User"}, {args[0], owner(j)}})
	return p.end(j)
}
