package fakeschedulers

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// sbatchOptions are the ones that tests and the engine use.
var sbatchOptions = map[string]bool{
	"--parsable": false, "--no-requeue": false, "--job-name": true, "--output": true, "--open-mode": true, "--chdir": true,
	"-N": true, "--nodes": true, "-n": true, "--ntasks": true, "-c": true, "-t": true, "--time": true, "-p": true, "--partition": true,
	"-A": true, "--account": true, "--comment": true, "-H": false, "--hold": false, "--mem": true, "-d": true, "--dependency": true, "-w": true,
}

// maxScript is Slurm's own limit (max_script_size), 4 MiB.
const maxScript = 4 << 20

func (p *program) sbatch(args []string) error {
	opts, rest, err := p.options(args, sbatchOptions)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return failf(1, "sbatch: error: the fake takes one script, not %q", rest)
	}
	text, err := readScript(rest[0])
	if err != nil {
		return err
	}
	job, err := p.request(opts)
	if err != nil {
		return err
	}
	const failed = "sbatch: error: Batch job submission failed: "
	switch refusal := p.store.behaviour().Refuse; {
	case refusal != "":
		return failf(1, "sbatch: error: %s\n%sUnspecified error", strings.ReplaceAll(refusal, "\n", "\nsbatch: error: "), failed)
	case p.full():
		return failf(1, "sbatch: error: AssocMaxSubmitJobLimit\n%sJob violates accounting/QOS policy (job submit limit, user's size and/or time limits)", failed)
	}
	id, err := p.store.add(job, text)
	if err != nil {
		return err
	}
	if _, ok := opts["--parsable"]; ok {
		fmt.Fprintln(p.out, id)
	} else {
		fmt.Fprintf(p.out, "Submitted batch job %d\n", id)
	}
	return nil
}

func readScript(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		return nil, failf(1, "sbatch: error: Unable to open file %s", path)
	case !bytes.HasPrefix(text, []byte("#!")):
		return nil, failf(1, "sbatch: error: This does not look like a batch script.  The first\nsbatch: error: line must start with #! followed by the path to an interpreter.\nsbatch: error: For instance: #!/bin/sh")
	case bytes.Contains(text, []byte("\r\n")):
		return nil, failf(1, "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\nsbatch: error: instead of expected UNIX line breaks (\\n).")
	case len(text) > maxScript:
		return nil, failf(1, "sbatch: error: Batch job submission failed: Pathname of a file, directory or other parameter too long")
	}
	return text, nil
}

// request turns options into a job with the fake cluster's two nodes and its
// partitions main and down.
func (p *program) request(o map[string]string) (Job, error) {
	get := func(names ...string) string {
		for _, n := range names {
			if v, ok := o[n]; ok {
				return v
			}
		}
		return ""
	}
	b := p.store.behaviour()
	j := Job{
		Name: get("--job-name"), UID: os.Getuid(), GID: os.Getgid(), Output: stdio(get("--output")), Dir: get("--chdir"),
		Env: os.Environ(), State: "PENDING", Reason: "None",
	}
	if b.Pending > 0 {
		j.Reason = b.PendingReason
	}
	if minutes, err := strconv.ParseFloat(get("-t", "--time"), 64); err == nil {
		j.Limit = minutes * orElse(b.Minute, 60)
	}
	switch part := get("-p", "--partition"); part {
	case "", "main":
	case "down":
		j.Reason = "PartitionDown"
	default:
		return j, failf(1, "sbatch: error: invalid partition specified: %s\nsbatch: error: Batch job submission failed: Invalid partition name specified", part)
	}
	if n, err := strconv.Atoi(get("-N", "--nodes")); err == nil && n > 2 {
		j.Reason = "PartitionNodeLimit"
	}
	for _, hold := range []string{"-H", "--hold"} {
		if _, ok := o[hold]; ok {
			j.Reason = "JobHeldUser"
		}
	}
	return j, nil
}

// stdio expands the pattern of an output file as slurmd does: of a name with a
// backslash every one is removed and nothing is expanded (fname.c).
func stdio(pattern string) string {
	if strings.Contains(pattern, `\`) {
		return strings.ReplaceAll(pattern, `\`, "")
	}
	return patterns.ReplaceAllStringFunc(pattern, func(found string) string {
		if found == "%%" {
			return "%"
		}
		return "expanded"
	})
}

var patterns = regexp.MustCompile(`%(?:%|[0-9]*[AaJjNnstuxb])`)

func orElse(v, otherwise float64) float64 {
	if v == 0 {
		return otherwise
	}
	return v
}
