package own

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/batch"
	"jacamar-ci/internal/jobrun/internal/workspace"
)

// jobRow is a job as the JSON form has it: fields are never removed or changed.
type jobRow struct {
	Job       job.ID             `json:"job"`
	Runner    string             `json:"runner"`
	Host      string             `json:"host"`
	State     string             `json:"state"`
	Until     time.Time          `json:"until"`
	Directory string             `json:"directory"`
	Batch     []batch.Submission `json:"batch"`
}

func jobs(out io.Writer, spaces []*workspace.Workspace, o options) error {
	rows := []jobRow{}
	for _, w := range spaces {
		list, err := w.Jobs()
		if err != nil {
			return err
		}
		for _, j := range list {
			row := jobRow{j.Job, j.Runner, j.Host, "live", j.Until.UTC(), j.Directory, batch.Submissions(j.Scripts)}
			if j.Ended {
				row.State = "left behind"
			}
			rows = append(rows, row)
		}
	}
	if o.json {
		return json.NewEncoder(out).Encode(rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(out, "no job of yours runs")
		return err
	}
	lines := [][]string{{"JOB", "STATE", "HOST", "BATCH", "DIRECTORY"}}
	for _, r := range rows {
		var submissions []string
		for _, b := range r.Batch {
			submissions = append(submissions, b.String())
		}
		lines = append(lines, []string{r.Job.String(), r.State, r.Host, strings.Join(submissions, ", "), r.Directory})
	}
	return table(out, lines)
}

// partRow is a part of a base directory as the JSON form has it.
type partRow struct {
	Kind    string `json:"kind"`
	Path    string `json:"path"`
	Bytes   int64  `json:"bytes"`
	Files   int64  `json:"files"`
	Partial bool   `json:"partial,omitempty"`
}

func du(out io.Writer, spaces []*workspace.Workspace, o options) error {
	rows := []partRow{}
	total := partRow{Kind: "total"}
	for _, w := range spaces {
		for _, p := range w.Parts() {
			rows = append(rows, partRow{p.Kind, p.Path, p.Size.Bytes, p.Size.Files, p.Size.Partial})
			total.Bytes, total.Files = total.Bytes+p.Size.Bytes, total.Files+p.Size.Files
		}
	}
	if o.json {
		return json.NewEncoder(out).Encode(rows)
	}
	lines := [][]string{{"KIND", "SIZE", "FILES", "DIRECTORY"}}
	for _, r := range append(rows, total) {
		more := ""
		if r.Partial {
			more = " (not all of it could be read)"
		}
		lines = append(lines, []string{r.Kind, job.FormatBytes(r.Bytes), fmt.Sprint(r.Files), r.Path + more})
	}
	return table(out, lines)
}

// cleanLimit bounds a run of clean: what is in the trash then is removed by the next one,
// or by the cleanup of a job.
const cleanLimit = 10 * time.Minute

func clean(out io.Writer, spaces []*workspace.Workspace, o options) error {
	s := workspace.Sweep{Builds: max(o.older, 1), Project: o.project, DryRun: o.dryRun}
	if o.caches {
		s.Caches = max(o.older, 1)
	}
	if o.logs {
		s.Logs = max(o.older, 1)
	}
	removed, verb := 0, "removed"
	if o.dryRun {
		verb = "would remove"
	}
	s.Removed = func(path string) {
		removed++
		fmt.Fprintf(out, "%s %s\n", verb, job.Printable(path))
	}
	var failed []error
	for _, w := range spaces {
		if err := nameAbandoned(out, w); err != nil {
			return err
		}
		for _, l := range w.Clean(s, time.Now(), time.Now().Add(cleanLimit)) {
			failed = append(failed, errors.New(job.Printable(l.Reason)))
		}
	}
	if removed == 0 && len(failed) == 0 {
		fmt.Fprintln(out, "nothing to do")
	}
	return errors.Join(failed...)
}

// nameAbandoned names the batch jobs that no process follows any more: they are not
// touched, since they may still run and write.
func nameAbandoned(out io.Writer, w *workspace.Workspace) error {
	list, err := w.Jobs()
	if err != nil {
		return err
	}
	for _, j := range list {
		for _, b := range batch.Submissions(j.Scripts) {
			if j.Ended && b.Abandoned {
				fmt.Fprintf(out, "kept %s: the %s of job %s may still run; to cancel it: %s\n", job.Printable(j.Directory), job.Printable(b.String()), j.Job, job.Printable(b.CancelCommand()))
			}
		}
	}
	return nil
}

// table aligns columns; an empty cell is a dash. text/tabwriter would be one more package
// that each stage loads.
func table(out io.Writer, lines [][]string) error {
	widths := map[int]int{}
	for _, line := range lines {
		for i, cell := range line {
			if cell = job.Printable(cell); cell == "" {
				cell = "-"
			}
			line[i] = cell
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var text strings.Builder
	for _, line := range lines {
		for i, cell := range line[:len(line)-1] {
			text.WriteString(cell + strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
		}
		text.WriteString(line[len(line)-1] + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}
