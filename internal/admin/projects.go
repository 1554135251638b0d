package admin

import (
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"

	"jacamar-ci/internal/admin/status"
)

// summary prints what sum makes of the jobs that ended in a period, the newest first: as
// JSON, or as a table with a row for each element.
func summary[T any](w io.Writer, js Journals, since time.Duration, asJSON bool, now time.Time, sum func([]status.Job) []T, header []string, row func(T) []string) error {
	in, err := js.input(Filter{Since: since}, now)
	if err != nil {
		return err
	}
	list := sum(in.Past.Ended())
	if asJSON {
		return errors.Join(json.NewEncoder(w).Encode(list), in.Unread)
	}
	var rows [][]string
	for _, element := range list {
		rows = append(rows, row(element))
	}
	return errors.Join(table(w, header, rows), in.Unread)
}

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
	header := []string{"PROJECT", "JOBS", "FAILED", "SUCCESS-AGO", "FAILURE-AGO", "FAILURE", "FAILED-JOB"}
	return summary(w, js, since, asJSON, now, projectsOf, header, func(p *project) []string {
		return []string{p.Project, strconv.Itoa(p.Jobs), strconv.Itoa(p.Failed), ago(p.Succeeded, now), ago(p.FailedAt, now), p.Exit, p.Job}
	})
}

// projectsOf sums up the jobs, which begin with the newest, in the order of the names.
func projectsOf(ended []status.Job) []*project {
	list := status.Grouped(ended, func(j status.Job) (string, project) { return j.Project, project{Project: j.Project} }, (*project).add)
	slices.SortFunc(list, func(a, b *project) int { return cmp.Compare(a.Project, b.Project) })
	return list
}

func (p *project) add(j status.Job) {
	p.Jobs++
	if j.Exit == "ok" {
		p.Succeeded = cmp.Or(p.Succeeded, &j.Last)
		return
	}
	p.Failed++
	if p.FailedAt == nil {
		p.FailedAt, p.Exit, p.Job = &j.Last, j.Exit, j.ID
	}
}

// ago formats the time since t, "" for none.
func ago(t *time.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return status.Duration(now.Sub(*t))
}

// occupied is the last known size of the build directories of one account and project.
// Its JSON form is an interface: fields are never removed or changed.
type occupied struct {
	Account     string    `json:"account"`
	Project     string    `json:"project"`
	Directories int       `json:"directories"`
	Bytes       int64     `json:"disk_bytes"`
	Files       int64     `json:"disk_files"`
	Partial     bool      `json:"disk_partial,omitempty"` // at least one was not measured to its end
	Measured    time.Time `json:"measured"`               // the oldest of them
}

// DU prints the last known sizes of build directories by account and project, the largest
// first: what the cleanup of the last job in each directory has measured. It opens no
// directory of a user.
func DU(w io.Writer, js Journals, since time.Duration, asJSON bool, now time.Time) error {
	header := []string{"ACCOUNT", "PROJECT", "DISK", "FILES", "DIRECTORIES", "MEASURED-AGO"}
	return summary(w, js, since, asJSON, now, sizes, header, func(o *occupied) []string {
		size := disk(o.Bytes, o.Partial)
		return []string{o.Account, o.Project, size, strconv.FormatInt(o.Files, 10), strconv.Itoa(o.Directories), status.Duration(now.Sub(o.Measured))}
	})
}

// sizes adds up the newest size of each directory. The jobs begin with the newest.
func sizes(ended []status.Job) []*occupied {
	type place struct{ host, account, directory string }
	type owner struct{ account, project string }
	seen := map[place]bool{}
	newest := slices.DeleteFunc(slices.Clone(ended), func(j status.Job) bool {
		at := place{j.Host, j.Account, j.Directory}
		old := j.Directory == "" || j.Disk == 0 || seen[at]
		seen[at] = seen[at] || !old
		return old
	})
	list := status.Grouped(newest, func(j status.Job) (owner, occupied) {
		return owner{j.Account, j.Project}, occupied{Account: j.Account, Project: j.Project}
	}, (*occupied).add)
	slices.SortFunc(list, func(a, b *occupied) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Project, b.Project))
	})
	return list
}

func (o *occupied) add(j status.Job) {
	o.Directories++
	o.Bytes, o.Files, o.Partial, o.Measured = o.Bytes+j.Disk, o.Files+j.Files, o.Partial || j.Partial, j.Last
}
