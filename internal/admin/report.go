package admin

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/admin/status"
)

// ReportOptions are those of `jacamar-admin report`.
type ReportOptions struct {
	Journals Journals
	// By are the columns that jobs are summed up by: account, project, namespace, rule,
	// exit or executor.
	By    []string
	Since time.Duration
	CSV   bool
}

// groupers return the part of a job that it is summed up by.
func groupers() map[string]func(status.Job) string {
	return map[string]func(status.Job) string{
		"account":  func(j status.Job) string { return j.Account },
		"project":  func(j status.Job) string { return j.Project },
		"rule":     func(j status.Job) string { return j.Rule },
		"exit":     func(j status.Job) string { return j.Exit },
		"executor": func(j status.Job) string { return j.Executor },
		"namespace": func(j status.Job) string {
			at := strings.LastIndexByte(j.Project, '/')
			return j.Project[:max(at, 0)]
		},
	}
}

// sum is what jobs of one kind have used.
type sum struct {
	key          []string
	jobs, failed int
	wall, cpu    float64 // seconds
	batchCPU     float64
	peak, disk   int64 // the largest
	waits        []float64
}

// Report prints the sums of the jobs that ended in a period. Those of days that only
// have a digest are summed up by the numbers of their accounts and projects.
func Report(w io.Writer, o ReportOptions, now time.Time) error {
	var by []func(status.Job) string
	for _, name := range o.By {
		f, ok := groupers()[name]
		if !ok {
			return fmt.Errorf("--by: %q is not known: write some of %s", name, strings.Join(slices.Sorted(maps.Keys(groupers())), ", "))
		}
		by = append(by, f)
	}
	in, err := o.Journals.input(Filter{Since: o.Since}, now)
	if err != nil {
		return err
	}
	older, unread, err := o.Journals.digested(now.Add(-o.Since))
	if err != nil {
		return err
	}
	in.Unread = errors.Join(in.Unread, unread)
	rows := [][]string{}
	for _, s := range sums(append(in.Past.Ended(), older...), by) {
		rows = append(rows, s.row(o.CSV))
	}
	header := append(upper(o.By), "JOBS", "FAILED", "WALL", "CPU", "BATCH-CPU", "PEAK", "DISK", "WAIT-MEDIAN", "WAIT-95")
	if o.CSV {
		return errors.Join(writeCSV(w, header, rows), in.Unread)
	}
	return errors.Join(table(w, header, rows), in.Unread)
}

func upper(names []string) (list []string) {
	for _, n := range names {
		list = append(list, strings.ToUpper(n))
	}
	return list
}

// sums groups the jobs, in the order of their keys.
func sums(jobs []status.Job, by []func(status.Job) string) []*sum {
	list := status.Grouped(jobs, func(j status.Job) (string, sum) {
		var key []string
		for _, f := range by {
			key = append(key, f(j))
		}
		return strings.Join(key, "\x00"), sum{key: key}
	}, (*sum).add)
	slices.SortFunc(list, func(a, b *sum) int { return slices.Compare(a.key, b.key) })
	return list
}

func (s *sum) add(j status.Job) {
	s.jobs++
	if j.Exit != "ok" {
		s.failed++
	}
	s.wall, s.cpu, s.batchCPU = s.wall+j.Last.Sub(j.Began).Seconds(), s.cpu+j.CPU-j.BatchCPU, s.batchCPU+j.BatchCPU
	s.peak, s.disk = max(s.peak, j.Peak), max(s.disk, j.Disk)
	if j.BatchID != "" || j.Waited > 0 {
		s.waits = append(s.waits, j.Waited)
	}
}

// row is one line; in a CSV file all figures are seconds and bytes.
func (s *sum) row(plain bool) []string {
	span, size := seconds, status.Bytes
	if plain {
		span, size = decimal, func(n int64) string { return strconv.FormatInt(n, 10) }
	}
	slices.Sort(s.waits)
	return append(slices.Clone(s.key), strconv.Itoa(s.jobs), strconv.Itoa(s.failed), span(s.wall), span(s.cpu), span(s.batchCPU),
		size(s.peak), size(s.disk), span(quantile(s.waits, 0.5)), span(quantile(s.waits, 0.95)))
}

func decimal(f float64) string { return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64) }

// quantile returns a value of a sorted list below which the given part of it is, 0 for an
// empty one.
func quantile(sorted []float64, part float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := int(math.Ceil(part*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// writeCSV writes the format of RFC 4180. A text that a spreadsheet would take for a
// formula begins with an apostrophe.
func writeCSV(w io.Writer, header []string, rows [][]string) error {
	out := csv.NewWriter(w)
	for i, h := range header {
		header[i] = strings.ToLower(strings.ReplaceAll(h, "-", "_"))
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for _, row := range rows {
		for i, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				row[i] = "'" + cell
			}
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}
