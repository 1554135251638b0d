package status

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/journal"
)

// Counters are the metrics that only grow. They are saved between two runs, with the
// position up to which each host's days were counted, so that the removal of old days
// does not decrease them.
type Counters struct {
	Read      map[string]Position `json:"read"`
	Ended     series              `json:"ended"`
	Refused   series              `json:"refused"`
	Stages    series              `json:"stages"`
	CPU       series              `json:"cpu"`
	Reaped    series              `json:"reaped"`
	Job       histogram           `json:"job"`
	BatchWait histogram           `json:"batch_wait"`
	// Succeeded is when the newest successful job ended, in seconds since 1970.
	Succeeded float64 `json:"succeeded"`
}

// Position is the position up to which a host's days were counted.
type Position struct {
	Day    string `json:"day"`
	Offset int64  `json:"offset"`
}

// series is one metric, by the text of its labels.
type series map[string]float64

// add adds a value. A negative one, of a clock that was set back, counts as none.
func (s *series) add(value float64, labels ...string) {
	if *s == nil {
		*s = series{}
	}
	text := labelText(labels)
	if _, known := (*s)[text]; !known && len(*s) >= maxSeries {
		text = labelText(others(labels))
	}
	(*s)[text] += max(value, 0)
}

// maxSeries bounds the combinations of a metric's labels, which stay permanently; further ones
// count as one. The account of the runner's service chooses the names of stages.
const maxSeries = 500

// others are the labels with the value that stands for all further ones.
func others(labels []string) []string {
	labels = slices.Clone(labels)
	for i := 1; i < len(labels); i += 2 {
		labels[i] = "other"
	}
	return labels
}

// histogram counts observations below each of its bounds.
type histogram struct {
	Counts []float64 `json:"counts"` // for each bound, and for +Inf
	Sum    float64   `json:"sum"`
}

// bounds are seconds, from an immediate start to a day in the queue.
var bounds = [...]float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600}

// observe counts a duration. A negative one, of a clock that was set back, counts as 0.
func (h *histogram) observe(seconds float64) {
	seconds = max(seconds, 0)
	if len(h.Counts) != len(bounds)+1 {
		h.Counts = make([]float64, len(bounds)+1)
	}
	at, _ := slices.BinarySearch(bounds[:], seconds)
	h.Counts[at]++
	h.Sum += seconds
}

// Count adds the events of a host's days that were not counted before. It counts no day after
// one that cannot be read, which the next call tries again.
func (c *Counters) Count(dir job.AbsPath, host string) error {
	days, err := journal.Days(dir, host)
	if err != nil {
		return err
	}
	if c.Read == nil {
		c.Read = map[string]Position{}
	}
	for _, day := range days {
		p := c.Read[host]
		if day < p.Day {
			continue
		}
		if day > p.Day {
			p = Position{Day: day}
		}
		text, err := journal.ReadDay(dir, host, day, p.Offset, maxChunk)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // it was removed meanwhile, being old
		case err != nil:
			return fmt.Errorf("cannot count the jobs of %s on %s: %w", day, host, err)
		}
		more := len(text) == maxChunk
		text = journal.Whole(text) // the rest is being written
		for _, r := range journal.Day(host, text) {
			c.count(r)
		}
		p.Offset += int64(len(text))
		c.Read[host] = p
		if more {
			break // the next run continues in this day
		}
	}
	return nil
}

// maxChunk bounds how much of a day one run reads, in bytes; the next run continues.
const maxChunk = 16 << 20

func (c *Counters) count(r journal.Record) {
	if e, ok := r.Find(journal.Refused); ok {
		c.Refused.add(1, "rule", cmp.Or(e.Context.Rule, "unknown"))
		return
	}
	j := NewJob(r)
	c.Ended.add(1, "executor", j.Executor, "exit", cmp.Or(j.Exit, "unknown"))
	c.CPU.add(j.CPU, "executor", j.Executor)
	c.Job.observe(j.Last.Sub(j.Began).Seconds())
	if j.Exit == "ok" {
		c.Succeeded = max(c.Succeeded, float64(j.Last.Unix()))
	}
	var since float64 // of the submission that waits
	for _, e := range r.Events {
		switch {
		case e.Name == journal.StageEnd:
			c.Stages.add(1, "stage", e.Context.Stage, "exit", cmp.Or(e.Context.Exit, "unknown"))
		case e.Name == journal.Reaped:
			c.Reaped.add(1, "result", cmp.Or(e.Context.Exit, "unknown"))
		case e.Name == journal.Batch && e.Context.Phase == journal.PhaseSubmitted:
			since = e.Time
		case e.Name == journal.Batch && since != 0 && (e.Context.Phase == journal.PhaseRunning || e.Context.Phase == journal.PhaseEnded):
			c.BatchWait.observe(cmp.Or(e.Context.Seconds, e.Time-since))
			since = 0
		}
	}
}

// Metrics writes the text format 0.0.4 of Prometheus, for the textfile collector of
// node_exporter.
func (s Snapshot) Metrics(w io.Writer, c Counters) error {
	var out bytes.Buffer
	states, oldest := series{}, map[string]float64{}
	for _, j := range s.Live {
		state := string(j.State)
		states.add(1, "executor", j.Executor, "state", state)
		oldest[state] = max(oldest[state], s.Made.Sub(j.Began).Seconds())
	}
	ages, disk := series{}, series{"kind=\"builds\"": 0}
	for state, age := range oldest {
		ages.add(age, "state", state)
	}
	for _, u := range s.Usage {
		disk.add(float64(u.Disk), "kind", "builds")
	}
	drained := 0.0
	if s.Drain != "" {
		drained = 1
	}
	metric(&out, "jacamar_jobs", "gauge", "Live jobs.", states)
	metric(&out, "jacamar_oldest_seconds", "gauge", "Age of the oldest live job.", ages)
	metric(&out, "jacamar_drained", "gauge", "Whether the resource takes no new jobs.", series{"": drained})
	metric(&out, "jacamar_disk_bytes", "gauge", "Last known size of build directories.", disk)
	metric(&out, "jacamar_last_success_timestamp_seconds", "gauge", "End of the newest successful job.", series{"": c.Succeeded})
	metric(&out, "jacamar_jobs_ended_total", "counter", "Ended jobs.", c.Ended)
	metric(&out, "jacamar_refused_total", "counter", "Refused jobs by rule.", c.Refused)
	metric(&out, "jacamar_stages_total", "counter", "Ended stages.", c.Stages)
	metric(&out, "jacamar_cpu_seconds_total", "counter", "Processor time of ended jobs.", c.CPU)
	metric(&out, "jacamar_reaped_total", "counter", "Jobs cleaned up after their runner was gone.", c.Reaped)
	c.Job.write(&out, "jacamar_job_seconds", "Time from grant to cleanup.")
	c.BatchWait.write(&out, "jacamar_batch_wait_seconds", "Time in the queue of the batch system.")
	_, err := w.Write(out.Bytes())
	return err
}

func metric(out *bytes.Buffer, name, kind, help string, values series) {
	fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, labels := range slices.Sorted(maps.Keys(values)) {
		if labels == "" {
			fmt.Fprintf(out, "%s %s\n", name, formatNumber(values[labels]))
			continue
		}
		fmt.Fprintf(out, "%s{%s} %s\n", name, labels, formatNumber(values[labels]))
	}
}

func (h histogram) write(out *bytes.Buffer, name, help string) {
	fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name)
	total := 0.0
	for i, bound := range bounds {
		if i < len(h.Counts) {
			total += h.Counts[i]
		}
		fmt.Fprintf(out, "%s_bucket{le=\"%s\"} %s\n", name, formatNumber(bound), formatNumber(total))
	}
	if len(h.Counts) > len(bounds) {
		total += h.Counts[len(bounds)]
	}
	fmt.Fprintf(out, "%s_bucket{le=\"+Inf\"} %s\n%s_sum %s\n%s_count %s\n", name, formatNumber(total), name, formatNumber(h.Sum), name, formatNumber(total))
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// labelText writes pairs of names and values in the exposition format.
func labelText(pairs []string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var list []string
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, pairs[i]+`="`+escape.Replace(strings.ToValidUTF8(pairs[i+1], "?"))+`"`)
	}
	return strings.Join(list, ",")
}
