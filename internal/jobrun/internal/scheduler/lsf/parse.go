package lsf

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

var (
	unknownJob = scheduler.Pattern(`Job <[^>]*> is not found|No (?:matching |unfinished )?job found`)
	// noJSON is said by versions whose bjobs cannot print JSON.
	noJSON  = scheduler.Pattern(`(?i)illegal option|Usage:|unrecognized`)
	idForm  = scheduler.Pattern(`^[1-9][0-9]{0,9}$`)
	subject = scheduler.Pattern(`(?m)^Job <[0-9]+>`)
)

// record is one job of bjobs. Every value is a string.
type record struct {
	ID     string `json:"JOBID"`
	Name   string `json:"JOB_NAME"`
	Stat   string `json:"STAT"`
	Code   string `json:"EXIT_CODE"`
	Why    string `json:"EXIT_REASON"`
	Hosts  string `json:"EXEC_HOST"`
	Reason string `json:"PEND_REASON"`
	Error  string `json:"ERROR"`
}

// readJobs reads {"RECORDS": [...]}. Banners may stand before it, and lines that
// say that LSF made the caller wait.
func readJobs(r scheduler.Reply) ([]record, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	var list struct{ Records []record }
	start := max(strings.IndexByte(r.Stdout, '{'), 0)
	if err := json.NewDecoder(strings.NewReader(r.Stdout[start:])).Decode(&list); err != nil {
		return nil, fmt.Errorf("bjobs: %s", strings.TrimSpace(r.Stderr))
	}
	return list.Records, nil
}

func parseJob(r scheduler.Reply) scheduler.State {
	jobs, err := readJobs(r)
	switch {
	case r.Err != nil:
		return scheduler.State{}
	case err != nil:
		// Without JSON the next question is the answer.
		return scheduler.State{Missing: unknownJob().MatchString(r.Stderr+r.Stdout) || (r.Code != 0 && noJSON().MatchString(r.Stderr))}
	case len(jobs) != 1:
		return scheduler.State{}
	case jobs[0].Error != "":
		return scheduler.State{Missing: unknownJob().MatchString(jobs[0].Error)}
	}
	return jobs[0].state()
}

func (j record) state() scheduler.State {
	row, ok := states[j.Stat]
	if !ok {
		return scheduler.State{}
	}
	s := scheduler.State{Phase: row.phase, Class: row.class, Name: j.Stat, Description: row.words, Nodes: strings.ReplaceAll(j.Hosts, ":", ",")}
	switch s.Phase {
	case scheduler.Pending:
		s.Reason = reasonOf(j.Reason, row)
	case scheduler.Done:
		end(&s, j.Why, j.Code)
	}
	return s
}

// end says how a job ended by the word for the reason, "TERM_RUNLIMIT: job
// killed after ...", and the exit status otherwise.
func end(s *scheduler.State, why, code string) {
	word, _, _ := strings.Cut(why, ":")
	if t, ok := terminations[strings.TrimSpace(word)]; ok {
		s.Name, s.Class, s.Description = strings.TrimSpace(word), t.class, t.words
	}
	n, err := strconv.Atoi(code)
	if code == "" && s.Name == "DONE" {
		n, err = 0, nil
	}
	if s.Class == scheduler.Ended && err == nil && n >= 0 && n < 256 {
		s.Exit = scheduler.Exit{Known: true, Code: n}
	}
}

var (
	exitCode  = scheduler.Pattern(`Exited with exit code ([0-9]{1,3})`)
	killed    = scheduler.Pattern(`Exited by (?:LSF )?signal ([0-9]{1,3})`)
	term      = scheduler.Pattern(`(TERM_[A-Z_]+):`)
	completed = scheduler.Pattern(`Completed <(done|exit)>|Done successfully`)
	runs      = scheduler.Pattern(`: (?:Starting|Started|Dispatched)`)
	submitted = scheduler.Pattern(`: Submitted from`)
)

// parseHistory reads the events of "bhist -l". Lines are broken within words,
// and go on after blanks. The last event counts.
func parseHistory(r scheduler.Reply) scheduler.State {
	if r.Err != nil || r.Code != 0 {
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr+r.Stdout)}
	}
	text := unwrap(r.Stdout)
	var stat string
	switch {
	case len(subject().FindAllString(text, 2)) != 1:
		return scheduler.State{}
	case completed().MatchString(text):
		stat = "EXIT"
	case runs().MatchString(text):
		stat = "RUN"
	case submitted().MatchString(text):
		stat = "PEND"
	}
	j := record{Stat: stat, Code: group(exitCode().FindStringSubmatch(text)), Why: group(term().FindStringSubmatch(text)) + ":"}
	if n, err := strconv.Atoi(group(killed().FindStringSubmatch(text))); err == nil && n < 128 {
		j.Code = strconv.Itoa(128 + n)
	}
	if strings.Contains(text, "Done successfully") || strings.Contains(text, "Completed <done>") {
		j.Stat, j.Code = "DONE", ""
	}
	return j.state()
}

func group(m []string) string {
	if m == nil {
		return ""
	}
	return m[1]
}

// unwrap joins what was broken; an event begins at the margin.
func unwrap(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		rest := strings.TrimLeft(line, " ")
		if len(line)-len(rest) >= 10 {
			joined := strings.TrimSuffix(b.String(), "\n")
			b.Reset()
			b.WriteString(joined)
			line = rest
		}
		b.WriteString(line)
	}
	return b.String()
}

// ParseFind implements scheduler.Finder.
func (LSF) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	jobs, err := readJobs(r)
	if r.Err == nil && err != nil && unknownJob().MatchString(r.Stderr+r.Stdout) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []scheduler.Found
	for _, j := range jobs {
		if j.Error == "" && idForm().MatchString(j.ID) {
			found = append(found, scheduler.Found{ID: scheduler.ID(j.ID), Name: j.Name, State: j.state()})
		}
	}
	return found, nil
}
