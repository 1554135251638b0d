package status

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"jacamar-ci/internal/job"
)

//go:embed page.html
var pageText string

// Page writes the snapshot as one HTML file without scripts and external resources.
// With public, it omits the names of people and projects.
func (s Snapshot) Page(w io.Writer, public bool) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"clock": func(t time.Time) string { return t.Format("2006-01-02 15:04:05") },
		"age":   func(t time.Time) string { return Duration(s.Made.Sub(t)) },
		"bytes": Bytes,
		"cpu":   func(seconds float64) string { return Duration(time.Duration(seconds * float64(time.Second))) },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("cannot read the template of the page: %w", err)
	}
	if public {
		s = s.anonymous()
	}
	return page.Execute(w, s)
}

// anonymous returns s without accounts, users, projects and directories, and without the
// texts that programs of the accounts report, which can name any of them.
func (s Snapshot) anonymous() Snapshot {
	strip := func(jobs []Job) []Job {
		list := make([]Job, len(jobs))
		for i, j := range jobs {
			j.Project, j.Ref, j.Account, j.Login, j.Directory = "", "", "", "", ""
			j.BatchID, j.Reason, j.Node = "", "", ""
			list[i] = j
		}
		return list
	}
	s.Live, s.Ended, s.Usage = strip(s.Live), strip(s.Ended), nil
	return s
}

// Duration formats a duration with two units at most: 41s, 3m05s, 2h10m, 4d03h.
func Duration(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm%02ds", seconds/60, seconds%60)
	case seconds < 86400:
		return fmt.Sprintf("%dh%02dm", seconds/3600, seconds%3600/60)
	}
	return fmt.Sprintf("%dd%02dh", seconds/86400, seconds%86400/3600)
}

// Bytes writes a size with binary units, "" for 0.
func Bytes(n int64) string {
	if n == 0 {
		return ""
	}
	return job.FormatBytes(n)
}
