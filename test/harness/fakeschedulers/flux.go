package fakeschedulers

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

const digits58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// f58 writes a number as Flux writes job ids (RFC 19), after a mark.
func f58(n int, mark string) string {
	text := ""
	for n += 1 << 20; n > 0; n /= 58 {
		text = digits58[n%58:n%58+1] + text
	}
	return mark + text
}

func unf58(text string) (n int) {
	for _, c := range strings.TrimPrefix(strings.TrimPrefix(text, "f"), "ƒ") {
		n = n*58 + strings.IndexRune(digits58, c)
	}
	return n - 1<<20
}

func fluxID(j Job) string {
	if os.Getenv("FLUX_F58_FORCE_ASCII") != "" {
		return f58(j.ID, "f")
	}
	return f58(j.ID, "ƒ")
}

// flux is the one program of Flux, with its sub-commands.
func (p *program) flux(args []string) error {
	if len(args) == 0 {
		return failf(1, "Usage: flux [OPTIONS] COMMAND ARGS")
	}
	switch rest := args[1:]; args[0] {
	case "batch":
		return p.fluxBatch(rest)
	case "jobs":
		return p.fluxJobs(rest)
	case "cancel":
		return p.fluxCancel(rest)
	case "job":
		return p.fluxKill(rest)
	case "version":
		fmt.Fprintln(p.out, "commands:    \t\t0.88.0\nlibflux-core:\t\t0.88.0")
		return nil
	}
	return failf(1, "flux: `%s' is not a flux command.  See 'flux --help'", args[0])
}

func (p *program) fluxBatch(args []string) error {
	known := map[string]int{
		"--job-name": 1, "--output": 1, "--error": 1, "--cwd": 1, "--nslots": 1, "-n": 1, "--nodes": 1, "-N": 1,
		"-t": 1, "--time-limit": 1, "-q": 1, "--queue": 1, "-B": 1, "--bank": 1, "--urgency": 1,
	}
	o, rest, err := p.flags(apart(args, known), known, func(flag string) error {
		return failf(2, "usage: flux batch [OPTIONS...] COMMAND [ARGS...]\nflux-batch: error: unrecognized arguments: %s", flag)
	})
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return failf(2, "flux-batch: error: the following arguments are required: SCRIPT")
	case o["--nslots"]+o["-n"]+o["--nodes"]+o["-N"] == "":
		return failf(1, "flux-batch: ERROR: Number of slots to allocate must be specified")
	case p.store.behaviour().Refuse != "":
		return failf(1, "flux-batch: ERROR: %s", p.store.behaviour().Refuse)
	case p.full():
		return failf(1, "flux-batch: ERROR: user has max active jobs")
	case o["-q"]+o["--queue"] != "":
		return failf(1, "flux-batch: ERROR: [Errno 22] Invalid queue '%s' specified", o["-q"]+o["--queue"])
	}
	j := p.fresh(o["--job-name"], o["--output"])
	j.Dir = o["--cwd"]
	if limit := o["-t"] + o["--time-limit"]; limit != "" {
		j.Limit, _ = strconv.ParseFloat(strings.TrimSuffix(limit, "s"), 64)
		if !strings.HasSuffix(limit, "s") {
			j.Limit *= 60
		}
	}
	if nodes, _ := strconv.Atoi(o["-N"] + o["--nodes"]); nodes > 2 {
		j.Reason = "unsatisfiable"
	}
	if o["--urgency"] == "0" {
		j.Reason = "held"
	}
	id, err := p.submit(j, rest[0], func(f string) error {
		return failf(1, "flux-batch: ERROR: [Errno 2] No such file or directory: '%s'", f)
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(p.out, fluxID(Job{ID: id}))
	if j.Reason == "unsatisfiable" {
		p.store.finish(id, "UNSATISFIABLE", 0, 0)
	}
	return nil
}

func (p *program) fluxJobs(args []string) error {
	o, rest, err := p.flags(args, map[string]int{"-a": 0, "-no": 1, "-u": 1, "--name": 1}, func(flag string) error {
		return failf(2, "flux-jobs: error: unrecognized arguments: %s", flag)
	})
	if err != nil {
		return err
	}
	if len(rest) == 1 {
		j, ok := p.job(strconv.Itoa(unf58(rest[0])))
		if !ok {
			return failf(1, "flux-jobs: ERROR: JobID %s unknown", rest[0])
		}
		fmt.Fprintln(p.out, fluxRow(o["-no"], j))
		return nil
	}
	jobs, err := p.queue("")
	for _, j := range jobs {
		if (o["--name"] == "" || o["--name"] == j.Name) && (o["-u"] == "*" || o["-u"] == owner(j)) {
			fmt.Fprintln(p.out, fluxRow(o["-no"], j))
		}
	}
	return err
}

// fluxRow fills in the fields of a format.
func fluxRow(format string, j Job) string {
	state, result, code, exception, note, urgency := "SCHED", "", "", "", "", "16"
	switch {
	case j.over():
		state, result, code = "INACTIVE", "COMPLETED", strconv.Itoa(j.code())
		switch {
		case j.State == "CANCELLED":
			result, code, exception = "CANCELED", "143", "cancel"
		case j.State == "TIMEOUT":
			result, code, exception, note = "TIMEOUT", "142", "timeout", "resource allocation expired"
		case j.State == "UNSATISFIABLE":
			result, code, exception, note = "FAILED", "", "alloc", "unsatisfiable request"
		case j.State == "NODE_FAIL":
			result, exception, note = "FAILED", "exec", "lost contact with job shell on broker n1 (rank 1)"
		case j.code() != 0:
			result = "FAILED"
		}
	case j.Reason == "held":
		urgency = "0"
	case j.State == "RUNNING":
		state = "RUN"
	}
	run := ""
	if !j.Start.IsZero() {
		run = fmt.Sprintf("%.3f", float64(j.Start.UnixMilli())/1000)
	}
	return strings.NewReplacer("{id}", fluxID(j), "{name}", j.Name, "{state}", state, "{result}", result, "{returncode}", code,
		"{exception.type}", exception, "{exception.note}", note, "{urgency}", urgency, "{t_run}", run, "{nodelist}", j.Node,
		"{annotations.sched.t_estimate}", "", "{dependencies}", "").Replace(format)
}

func (p *program) fluxCancel(args []string) error {
	if len(args) != 1 {
		return failf(1, "Usage: flux cancel [OPTIONS] [JOBID...]")
	}
	j, ok := p.job(strconv.Itoa(unf58(args[0])))
	switch {
	case !ok:
		return failf(1, "flux-cancel: %s: unknown job id", args[0])
	case j.over():
		return failf(1, "flux-cancel: %s: job is inactive", args[0])
	case !allowed(j):
		return failf(1, "flux-cancel: %s: guests can only raise exceptions on their own jobs", args[0])
	}
	return p.end(j)
}

func (p *program) fluxKill(args []string) error {
	if len(args) != 4 || strings.Join(args[:3], " ") != "kill -s TERM" {
		return failf(1, "flux-job: the fake knows only \"kill -s TERM ID\", not %q", args)
	}
	j, ok := p.job(strconv.Itoa(unf58(args[3])))
	if !ok || j.State != "RUNNING" || !allowed(j) {
		return failf(1, "flux-job: kill %s: job is not running", args[3])
	}
	p.signal(j, syscall.SIGTERM)
	return nil
}
