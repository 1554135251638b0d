package slurm

import (
	"strconv"
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

var (
	idForm     = scheduler.Pattern(`^[1-9][0-9]{0,9}(;[A-Za-z0-9_.-]+)?$`)
	unknownJob = scheduler.Pattern(`Invalid job id specified`)
)

// parseQueue reads squeue's one line "state|start|nodes|reason"; the reason is
// last since only it may hold a bar. No line means that the job left the queue.
func parseQueue(r scheduler.Reply) scheduler.State {
	line := strings.TrimSuffix(r.Stdout, "\n")
	switch {
	case r.Err != nil || r.Code != 0:
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr)}
	case line == "":
		return scheduler.State{Missing: true}
	}
	return queueLine(line)
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

// parseControl reads the words "Key=value" of scontrol's one line.
func parseControl(r scheduler.Reply) scheduler.State {
	if r.Err != nil || r.Code != 0 {
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr+r.Stdout)}
	}
	f := map[string]string{}
	for _, word := range strings.Fields(r.Stdout) {
		key, value, ok := strings.Cut(word, "=")
		if _, twice := f[key]; ok && !twice {
			f[key] = value
		}
	}
	s := stateOf(f["JobState"], f["Reason"])
	s.Start, s.Nodes, s.Exit = scheduler.ParseUnix(f["StartTime"]), f["NodeList"], exitOf(f["ExitCode"])
	return s
}

// parseAccounting reads sacct's one line "state|code:signal|start|nodes". No
// line is no answer: the record may not have reached the database yet.
func parseAccounting(r scheduler.Reply) scheduler.State {
	f := strings.Split(strings.TrimSuffix(r.Stdout, "\n"), "|")
	if r.Err != nil || r.Code != 0 || len(f) != 4 {
		return scheduler.State{Missing: r.Err == nil && r.Code == 0 && r.Stdout == ""}
	}
	name, by, _ := strings.Cut(f[0], " by ")
	s := stateOf(name, "")
	if s.Phase != scheduler.Done {
		return scheduler.State{Missing: s.Phase != scheduler.Unknown} // a record that lags behind
	}
	s.By, s.Exit, s.Start, s.Nodes = by, exitOf(f[1]), scheduler.ParseUnix(f[2]), strings.TrimPrefix(f[3], "None assigned")
	return s
}

// stateOf reads a state and its reason; a name that is not in the table is
// Unknown. Some versions add flags after a plus sign.
func stateOf(name, reason string) scheduler.State {
	name, _, _ = strings.Cut(name, "+")
	row, ok := states[name]
	if !ok {
		return scheduler.State{}
	}
	s := scheduler.State{Phase: row.phase, Class: row.class, Name: name, Description: row.words, Reason: reasonOf(reason)}
	if row.hope != waits {
		s.Reason.Hope, s.Reason.Description = row.hope, row.words
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
