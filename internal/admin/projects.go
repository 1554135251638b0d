package admin

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"jacamar-ci/internal/admin/status"
)

// project is what became of a project's jobs in a period. Its JSON form is an interface:
// fields are never removed or changed.
type project struct {
	Project string `json:"project"`
	Jobs    int    `json:"jobs"`
	Failed  int    `json:"failed"`
	// Succeeded and FailedAt are when the newest job of each kind ended, nil for none.
	Succeeded *time.Time `json:"last_success"`
	FailedAt  *time.Time `json:"last_failure"`
	// Exit and Job are of the newest failure.
	Exit string `json:"last_failure_exit,omitempty"`
	Job  string `json:"last_failure_job,omitempty"`
}

// Projects prints the last success and the last failure of each project with a job that
// ended in the period.
func Projects(w io.Writer, js Journals, since time.Duration, asJSON bool, now time.Time) error {
	in, err := js.input(Filter{Since: since}, now)
	if err != nil {
		return err
	}
	list := projectsOf(status.Ended(in.Past))
	if asJSON {
		return writeJSON(w, list)
	}
	var rows [][]string
	for _, p := range list {
		rows = append(rows, []string{p.Project, strconv.Itoa(p.Jobs), strconv.Itoa(p.Failed), ago(p.Succeeded, now), ago(p.FailedAt, now), p.Exit, p.Job})
	}
	return table(w, []string{"PROJECT", "JOBS", "FAILED", "SUCCESS-AGO", "FAILURE-AGO", "FAILURE", "FAILED-JOB"}, rows)
}

// projectsOf sums up the jobs, which begin with the newest, in the order of the names.
func projectsOf(ended []status.Job) []*project {
	of := map[string]*project{}
	for _, j := range ended {
		p := of[j.Project]
		if p == nil {
			p = &project{Project: j.Project}
			of[j.Project] = p
		}
		p.Jobs++
		switch {
		case j.Exit == "ok":
			p.Succeeded = cmp.Or(p.Succeeded, &j.Last)
		default:
			p.Failed++
			if p.FailedAt == nil {
				p.FailedAt, p.Exit, p.Job = &j.Last, j.Exit, j.ID
			}
		}
	}
	return slices.SortedFunc(maps.Values(of), func(a, b *project) int { return cmp.Compare(a.Project, b.Project) })
}

// ago formats the time since t, "" for none.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return status.Duration(now.Sub(*t))
}
