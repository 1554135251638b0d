package sge

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

var noRecord = scheduler.Pattern(`job id [0-9]+ not found|no accounting file|job name .* not found`)

// entities are what XML text has instead of its own marks.
var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&amp;", "&")

// queued is one job of qstat's list.
type queued map[string]string

// readQueue reads the elements <job_list> of "qstat -xml", whose children are
// flat. An answer that is cut off is none.
func readQueue(r scheduler.Reply) (jobs []queued, err error) {
	if r.Err != nil {
		return nil, r.Err
	}
	if r.Code != 0 || !strings.Contains(r.Stdout, "</job_info>") {
		return nil, fmt.Errorf("qstat: %s", strings.TrimSpace(r.Stderr))
	}
	for part := range strings.SplitSeq(r.Stdout, "<job_list") {
		body, _, ok := strings.Cut(part, "</job_list>")
		if !ok {
			continue
		}
		job := queued{}
		for line := range strings.Lines(body) {
			tag, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "<"), ">")
			if value, whole := strings.CutSuffix(rest, "</"+tag+">"); ok && whole {
				job[tag] = entities.Replace(value)
			}
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

func parseQueue(r scheduler.Reply, id scheduler.ID) scheduler.State {
	jobs, err := readQueue(r)
	if err != nil {
		return scheduler.State{}
	}
	for _, j := range jobs {
		if j["JB_job_number"] == string(id) {
			return j.state()
		}
	}
	return scheduler.State{Missing: true}
}

// state is the job's, by the letters of qstat(1). Several may stand together,
// the first of the table that is there counts.
func (j queued) state() scheduler.State {
	letters := j["state"]
	if letters == "" || strings.Trim(letters, known) != "" {
		return scheduler.State{}
	}
	for _, row := range states {
		if !strings.Contains(letters, row.letter) {
			continue
		}
		s := scheduler.State{Phase: row.phase, Name: letters, Description: row.words}
		if row.phase == scheduler.Pending {
			s.Reason = scheduler.Reason{Name: letters, Description: row.words, Hope: row.hope}
			return s
		}
		_, s.Nodes, _ = strings.Cut(j["queue_name"], "@")
		s.Start, _ = time.ParseInLocation("2006-01-02T15:04:05", j["JAT_start_time"], time.Local)
		return s
	}
	return scheduler.State{}
}

// ParseFind implements scheduler.Finder.
func (SGE) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	jobs, err := readQueue(r)
	var found []scheduler.Found
	for _, j := range jobs {
		if _, err := strconv.ParseUint(j["JB_job_number"], 10, 32); err == nil && j["JB_name"] != "" {
			found = append(found, scheduler.Found{ID: scheduler.ID(j["JB_job_number"]), Name: j["JB_name"], State: j.state()})
		}
	}
	return found, err
}

// record reads qacct's lines "name   value". Two records are no answer: numbers
// are given again when they have run out.
func record(r scheduler.Reply) (f map[string]string, ok bool) {
	if r.Err != nil || r.Code != 0 || strings.Count("\n"+r.Stdout, "\njobnumber ") != 1 {
		return nil, false
	}
	f = map[string]string{}
	for line := range strings.Lines(r.Stdout) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		f[name] = strings.TrimSpace(value)
	}
	return f, true
}

// parseAccounting reads "failed  37  : why" and "exit_status  137  (Killed)".
func parseAccounting(r scheduler.Reply) scheduler.State {
	f, ok := record(r)
	if !ok {
		return scheduler.State{Missing: r.Err == nil && r.Code != 0 && noRecord().MatchString(r.Stderr)}
	}
	failed, ferr := leading(f["failed"])
	code, cerr := leading(f["exit_status"])
	if ferr != nil || cerr != nil {
		return scheduler.State{}
	}
	s := scheduler.State{Phase: scheduler.Done, Name: fmt.Sprintf("failed=%d", failed), Nodes: f["hostname"], Description: "Grid Engine could not run it"}
	s.Start, _ = time.ParseInLocation(time.ANSIC, f["start_time"], time.Local)
	end, special := failures[failed]
	if !special {
		s.Class = scheduler.Lost
		return s
	}
	s.Class, s.Description = end.class, end.words
	if s.Class == scheduler.Ended {
		s.Exit = scheduler.Exit{Known: true, Code: code}
	}
	return s
}

// leading reads the number at the beginning.
func leading(text string) (int, error) {
	word, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseUint(word, 10, 8)
	return int(n), err
}

// ParseUsage implements scheduler.Accountant.
func (SGE) ParseUsage(r scheduler.Reply) (u scheduler.Usage) {
	f, ok := record(r)
	if !ok {
		return u
	}
	u.CPUs, _ = strconv.Atoi(f["slots"])
	u.Elapsed, u.CPU = seconds(f["ru_wallclock"]), seconds(f["cpu"])
	u.Memory, u.Nodes = scheduler.ParseMemory(strings.TrimSuffix(f["maxvmem"], "B")), f["hostname"]
	return u
}

// seconds reads "0.007s"; older versions leave the unit out.
func seconds(text string) time.Duration {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "s"), 64)
	if err != nil || !(n >= 0 && n < 1<<31) {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}
