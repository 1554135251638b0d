package flux

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

var unknownJob = scheduler.Pattern(`JobID \S+ unknown|[Nn]o such job|not found in job-list`)

// row is one line of flux jobs, by the fields of format.
type row struct {
	id, name, state, result, code, exception, urgency, start, estimate, nodes, needs, note string
}

func readRow(line string) (r row, ok bool) {
	f := strings.SplitN(line, "|", 12)
	if len(f) != 12 {
		return r, false
	}
	return row{f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11]}, true
}

func parseJob(r scheduler.Reply) scheduler.State {
	line := strings.TrimSuffix(r.Stdout, "\n")
	if r.Err != nil || line == "" {
		return scheduler.State{Missing: r.Err == nil && unknownJob().MatchString(r.Stderr)}
	}
	job, ok := readRow(line)
	if !ok || r.Code != 0 || strings.Contains(line, "\n") {
		return scheduler.State{}
	}
	return job.judge()
}

func (j row) judge() scheduler.State {
	known, ok := states[j.state]
	if !ok {
		return scheduler.State{}
	}
	s := scheduler.State{Phase: known.phase, Name: j.state, Description: known.words, Nodes: j.nodes, Start: unix(j.start)}
	switch s.Phase {
	case scheduler.Pending:
		s.Start, s.Reason = unix(j.estimate), j.reason(known)
	case scheduler.Done:
		return j.end(s)
	}
	return s
}

// reason is why a job waits. Urgency 0 is a hold (flux-submit(1)).
func (j row) reason(known state) scheduler.Reason {
	switch {
	case j.urgency == "0" && j.state != "DEPEND":
		return scheduler.Reason{Name: "urgency=0", Description: "it is held; flux job urgency lets it go", Hope: scheduler.Held}
	case j.needs != "" && j.state == "DEPEND":
		return scheduler.Reason{Name: j.needs, Description: known.words, Hope: scheduler.Queued}
	}
	return scheduler.Reason{Name: j.state, Description: known.words, Hope: scheduler.Queued}
}

// end is how a job ended: by the result, and by the exception that ended it.
func (j row) end(s scheduler.State) scheduler.State {
	known, ok := results[j.result]
	if !ok {
		return scheduler.State{}
	}
	s.Name, s.Class, s.Description = j.result, known.class, known.words
	if why, fatal := exceptions[j.exception]; fatal && j.result == "FAILED" {
		s.Class, s.Description = why.class, why.words
		s.Reason = scheduler.Reason{Name: j.note, Description: why.words, Hope: why.hope}
		return s
	}
	code, err := strconv.Atoi(j.code)
	if s.Class == scheduler.Ended && err == nil && code >= 0 && code < 256 {
		s.Exit = scheduler.Exit{Known: true, Code: code}
	}
	return s
}

// unix reads seconds since 1970 with a fraction; 0 and "" are not known.
func unix(text string) time.Time {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 1 && n < 1<<40) {
		return time.Time{}
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9))
}

// ParseFind implements scheduler.Finder.
func (Flux) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	if r.Code != 0 {
		return nil, fmt.Errorf("flux jobs: %s", strings.TrimSpace(r.Stderr))
	}
	var found []scheduler.Found
	for line := range strings.Lines(r.Stdout) {
		job, ok := readRow(strings.TrimSuffix(line, "\n"))
		if m := replies.ID().FindStringSubmatch(job.id); ok && m != nil {
			found = append(found, scheduler.Found{ID: ascii(scheduler.ID(m[1])), Name: job.name, State: job.judge()})
		}
	}
	return found, nil
}
