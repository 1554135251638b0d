package pbs

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/scheduler"
)

var (
	// unknownJob is PBS's word for a job that is over, too (PBSE_UNKJOBID,
	// PBSE_HISTJOBID).
	unknownJob = scheduler.Pattern(`Unknown Job Id|Job has finished|Invalid Job Id|not configured to maintain job history`)
	// noJSON is said by versions whose qstat cannot print JSON.
	noJSON = scheduler.Pattern(`(?i)invalid option|illegal option|usage:|conflicting options`)
)

// attributes are a job's, by the names that qstat -f prints.
type attributes map[string]string

// parseJSON reads {"Jobs": {"12.server": {...}}}. Without the job the object is
// there all the same.
func parseJSON(r scheduler.Reply) scheduler.State {
	if s, answered := absent(r); answered {
		return s
	}
	if r.Err == nil && r.Code != 0 && noJSON().MatchString(r.Stderr) {
		return scheduler.State{Missing: true} // the next question is the same in text
	}
	var list struct{ Jobs map[string]map[string]any }
	err := json.Unmarshal([]byte(r.Stdout), &list)
	if r.Err != nil || r.Code != 0 || err != nil || len(list.Jobs) != 1 {
		return scheduler.State{Missing: r.Err == nil && err == nil && len(list.Jobs) == 0 && unknownJob().MatchString(r.Stderr)}
	}
	a := attributes{}
	for _, job := range list.Jobs {
		for name, value := range job {
			switch v := value.(type) {
			case string:
				a[name] = v
			case float64:
				a[name] = strconv.FormatFloat(v, 'f', -1, 64)
			}
		}
	}
	return a.state()
}

// absent judges the answers that name no job. With history off, "qstat -x" tells
// so on its error output and returns 0.
func absent(r scheduler.Reply) (s scheduler.State, answered bool) {
	answered = r.Err == nil && strings.TrimSpace(r.Stdout) == "" && unknownJob().MatchString(r.Stderr)
	return scheduler.State{Missing: answered}, answered
}

// parseText reads "    name = value", of which long ones go on in the next line
// after a tab.
func parseText(r scheduler.Reply) scheduler.State {
	if s, answered := absent(r); answered {
		return s
	}
	a, ok := readText(r)
	if !ok {
		return scheduler.State{}
	}
	return a.state()
}

func readText(r scheduler.Reply) (a attributes, ok bool) {
	if r.Err != nil || r.Code != 0 || strings.Count("\n"+r.Stdout, "\nJob Id: ") != 1 {
		return nil, false
	}
	a = attributes{}
	for line := range strings.SplitSeq(strings.ReplaceAll(r.Stdout, "\n\t", ""), "\n") {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			a[name] = value
		}
	}
	return a, true
}

// parseHistory is parseText for a question that not every version understands.
func parseHistory(r scheduler.Reply) scheduler.State {
	if r.Err == nil && r.Code != 0 && noJSON().MatchString(r.Stderr) {
		return scheduler.State{Missing: true}
	}
	return parseText(r)
}

// state makes sense of a job's attributes. A job that is exiting and has its exit
// status is done, whatever still happens to its files: it may hang there indefinitely
// when they cannot be delivered.
func (a attributes) state() scheduler.State {
	row, ok := states[a["job_state"]]
	if !ok {
		return scheduler.State{}
	}
	s := scheduler.State{Phase: row.phase, Name: a["job_state"], Description: row.words, Nodes: a.nodes(), Start: a.start()}
	code, hasCode := a.exit()
	switch {
	case s.Phase == pending:
		s.Reason = reasonOf(a, row)
	case s.Phase == done || (s.Phase == completing && hasCode):
		s.Phase = done
		a.end(&s, code, hasCode)
	}
	return s
}

// end is how the job ended, from Exit_status and the substate.
func (a attributes) end(s *scheduler.State, code int, known bool) {
	name := "Exit_status=" + strconv.Itoa(code)
	kind, special := statuses[code]
	if _, lower := a["exit_status"]; lower {
		name, kind = "exit_status="+strconv.Itoa(code), torqueStatuses[code]
		special = kind.words != ""
	}
	switch {
	case a["substate"] == terminated:
		s.Class, s.Description, s.Name = scheduler.Cancelled, "it was deleted", "deleted"
	case !known:
		s.Class, s.Description = scheduler.Lost, "it ended without an exit status"
	case special:
		s.Class, s.Description, s.Name = kind.class, kind.words, name
	case code < 0:
		s.Class, s.Description, s.Name = scheduler.Lost, "PBS could not run it", name
	case code >= 256:
		s.Exit, s.Name = scheduler.Exit{Known: code < 384, Signal: code - 256}, name
	default:
		s.Exit, s.Name = scheduler.Exit{Known: true, Code: code}, name
	}
}

func (a attributes) exit() (code int, known bool) {
	for _, name := range []string{"Exit_status", "exit_status"} {
		if n, err := strconv.Atoi(a[name]); err == nil {
			return n, true
		}
	}
	return 0, false
}

var chunk = scheduler.Pattern(`[A-Za-z0-9][A-Za-z0-9_.-]*`)

// nodes are the hosts of "n1/0*2+n2/0".
func (a attributes) nodes() string {
	var names []string
	for part := range strings.SplitSeq(a["exec_host"], "+") {
		if name := chunk().FindString(part); name != "" && (len(names) == 0 || names[len(names)-1] != name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// start reads ctime(3)'s form, in the time zone of this process.
func (a attributes) start() time.Time {
	for _, name := range []string{"stime", "start_time", "estimated.start_time"} {
		if t, err := time.ParseInLocation(time.ANSIC, a[name], time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}

var idForm = scheduler.Pattern(`^[0-9]{1,12}(\.[A-Za-z0-9_.-]+)?$`)

// ParseFind implements scheduler.Finder: qselect prints the ids of the jobs that
// it was asked for, one in a line, and no names.
func (PBS) ParseFind(r scheduler.Reply) ([]scheduler.Found, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	if r.Code != 0 {
		return nil, fmt.Errorf("qselect: %s", strings.TrimSpace(r.Stderr))
	}
	var found []scheduler.Found
	for line := range strings.Lines(r.Stdout) {
		if id := strings.TrimSpace(line); idForm().MatchString(id) {
			found = append(found, scheduler.Found{ID: scheduler.ID(id)})
		}
	}
	return found, nil
}
