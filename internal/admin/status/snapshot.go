// Package status renders the journal for administrators: as a page, a JSON document
// and metrics. It only reads, has no privileges, and does not trust any text of the
// journal.
package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/journal"
	"jacamar-ci/internal/proctree"
)

// Job is one job, live or ended, as a table shows it.
type Job struct {
	Host      string        `json:"host"`
	ID        string        `json:"job"`
	Project   string        `json:"project,omitempty"`
	Ref       string        `json:"ref,omitempty"`
	Account   string        `json:"account,omitempty"`
	Login     string        `json:"login,omitempty"`
	Executor  string        `json:"executor,omitempty"`
	Rule      string        `json:"rule,omitempty"` // by which it was granted
	Stage     string        `json:"stage,omitempty"`
	Began     time.Time     `json:"began"`
	Last      time.Time     `json:"last"` // newest event
	BatchID   string        `json:"batch_id,omitempty"`
	Phase     string        `json:"phase,omitempty"`
	Reason    string        `json:"reason,omitempty"` // why the batch job is pending
	Node      string        `json:"node,omitempty"`
	Directory string        `json:"directory,omitempty"`
	State     journal.State `json:"state,omitempty"` // of a live job
	Exit      string        `json:"exit,omitempty"`  // of an ended job
	Code      int           `json:"code,omitempty"`
	// Waited is the time in the queue of the batch system, until now for a job that
	// waits.
	Waited float64 `json:"waited_seconds"`
	// CPU and Peak are of the processes on this host and, as the account's own programs
	// report it, of the batch job; BatchCPU is the latter's part.
	CPU      float64 `json:"cpu_seconds"`
	BatchCPU float64 `json:"batch_cpu_seconds"`
	Peak     int64   `json:"peak_bytes"`
	Disk     int64   `json:"disk_bytes"`
	Files    int64   `json:"disk_files"`
	// Partial means that the directory is larger than Disk.
	Partial bool `json:"disk_partial,omitempty"`

	submitted time.Time // of the batch job that waits
}

// Notice is a problem for an administrator, with what to do.
type Notice struct {
	ID   string `json:"id"` // stable, for monitoring
	What string `json:"what"`
	Do   string `json:"do"`
}

// Count is a number with its name.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Usage is the resource usage of one account by the ended jobs of the period.
type Usage struct {
	Account string  `json:"account"`
	Jobs    int     `json:"jobs"`
	Failed  int     `json:"failed"`
	CPU     float64 `json:"cpu_seconds"`
	Wall    float64 `json:"wall_seconds"`
	Disk    int64   `json:"disk_bytes"` // largest known size of its build directories
}

// Snapshot is the content of the page. Its JSON form is an interface: fields are never
// removed or changed.
type Snapshot struct {
	Schema    int       `json:"schema"`
	Made      time.Time `json:"made"`
	Hosts     []string  `json:"hosts"`
	Drain     string    `json:"drain,omitempty"`
	Attention []Notice  `json:"attention"`
	Live      []Job     `json:"live"`
	Ended     []Job     `json:"ended"`
	Refusals  []Count   `json:"refusals"`
	Failures  []Count   `json:"failures"`
	Usage     []Usage   `json:"usage"`
}

// Schema is the version of the JSON form.
const Schema = 1

// Input is the input of a snapshot.
type Input struct {
	Now   time.Time
	Hosts []string
	// Live are the records of live jobs, Past what became of the others in the period.
	Live []journal.Record
	Past Past
	// Unread is why files of the period are left out of Past, nil for none.
	Unread error
	// Drain is the message of a drain in force, "" for none.
	Drain string
	// Gone reports whether a process has certainly ended.
	Gone func(proctree.Process) bool
}

// Past are the ended jobs and the refusals of a period, without the events of the jobs: of
// busy hosts they are millions.
type Past struct {
	Jobs    []Job
	Refused []journal.Event
	at      map[journal.Begin]int
}

// Add adds a record. One that begins as an earlier one replaces that: a cleanup that was
// killed before it removed the live file is repeated.
func (p *Past) Add(r journal.Record) {
	if e, ok := r.Find(journal.Refused); ok {
		p.Refused = append(p.Refused, e)
		return
	}
	begin, begun := r.Begin()
	if at, double := p.at[begin]; double {
		p.Jobs[at] = NewJob(r)
		return
	}
	if begun {
		if p.at == nil {
			p.at = map[journal.Begin]int{}
		}
		p.at[begin] = len(p.Jobs)
	}
	p.Jobs = append(p.Jobs, NewJob(r))
}

const (
	// lastEnded is how many ended jobs the page lists.
	lastEnded = 50
	// longWait is how long a batch job may be pending without a notice.
	longWait = time.Hour
)

// NewSnapshot returns the snapshot.
func NewSnapshot(in Input) Snapshot {
	s := Snapshot{Schema: Schema, Made: in.Now.UTC(), Hosts: in.Hosts, Drain: in.Drain, Attention: []Notice{}, Live: []Job{}, Ended: []Job{}}
	for _, r := range in.Live {
		s.Live = append(s.Live, newLiveJob(r, in))
	}
	slices.SortFunc(s.Live, func(a, b Job) int { return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.ID, b.ID)) })
	refused, failed := map[string]int{}, map[string]int{}
	for _, e := range in.Past.Refused {
		refused[cmp.Or(e.Context.Rule, "unknown")]++
	}
	s.Ended = in.Past.Ended()
	for _, j := range s.Ended {
		if j.Exit != "ok" {
			failed[cmp.Or(j.Exit, "unknown")]++
		}
	}
	s.Usage = usage(s.Ended)
	s.Ended = s.Ended[:min(len(s.Ended), lastEnded)]
	s.Refusals, s.Failures = counts(refused), counts(failed)
	s.Attention = append(s.Attention, attention(s.Live, in.Now)...)
	if in.Unread != nil {
		s.Attention = append(s.Attention, Notice{"incomplete", strings.ReplaceAll(in.Unread.Error(), "\n", "; "), "correct the owner or the mode of that file, or move it away"})
	}
	return s
}

// Ended returns the jobs that ended, the newest first.
func (p Past) Ended() []Job {
	list := append([]Job{}, p.Jobs...)
	slices.SortStableFunc(list, func(a, b Job) int { return b.Last.Compare(a.Last) })
	return list
}

func newLiveJob(r journal.Record, in Input) Job {
	j := NewJob(r)
	gone := false
	if e, ok := r.Find(journal.Granted); ok && e.Context.Owner != nil {
		gone = in.Gone(*e.Context.Owner)
	}
	j.State = journal.StateOf(r, gone, in.Now)
	if j.State != journal.Running && j.State != journal.Overdue {
		j.Stage = ""
	} else if !j.submitted.IsZero() {
		j.Waited = in.Now.Sub(j.submitted).Round(time.Millisecond).Seconds()
	}
	return j
}

// NewJob is the job of a record that is not a refusal, with the result that the operator's
// log has. It reads the events in their order; newer values replace older ones.
func NewJob(r journal.Record) Job {
	result := journal.ResultOf(r.Events)
	j := Job{
		Host: r.Host, Began: r.Last().UTC(), Last: r.Last().UTC(),
		Executor: result.Executor, Rule: result.Rule, Exit: result.Exit, Code: result.Code, CPU: result.CPU, Peak: result.Peak,
	}
	if r.Live {
		j.ID = r.Key.Job.String()
	}
	for i, e := range r.Events {
		c := e.Context
		if i == 0 {
			j.Began = e.When().UTC()
		}
		if c.Job != 0 {
			j.ID = c.Job.String()
		}
		switch e.Name {
		case journal.Granted:
			j.Project, j.Ref, j.Account, j.Login = c.Project, c.Ref, c.Account, c.Login
		case journal.Settled:
			j.Directory = c.Builds
		case journal.Stage:
			j.Stage = c.Stage
		case journal.Batch:
			j.batch(e)
		case journal.Disk:
			j.Disk, j.Files, j.Partial = c.Bytes, c.Files, c.Partial
		case journal.Ended:
			j.fail(c)
		case journal.Reaped:
			j.CPU, j.Peak = j.CPU+c.CPU, max(j.Peak, c.Peak)
			j.fail(journal.Context{Exit: abandoned})
		}
	}
	return j
}

// batch takes an event of the batch system.
func (j *Job) batch(e journal.Event) {
	c := e.Context
	j.BatchID, j.Phase, j.Reason = c.BatchID, c.Phase, c.Reason
	j.Node = cmp.Or(c.Node, j.Node)
	j.Waited = cmp.Or(c.Seconds, j.Waited)
	switch c.Phase {
	case journal.PhaseSubmitted:
		j.submitted, j.Node = e.When(), c.Node
	case journal.PhaseRunning, journal.PhaseEnded:
		j.submitted = time.Time{}
	}
	j.BatchCPU += c.CPU
}

// abandoned is the result of a job that was cleaned up after its runner had ended.
const abandoned = "abandoned"

// fail sets how a job ended that has not failed before.
func (j *Job) fail(c journal.Context) {
	if c.Exit != "" && (j.Exit == "" || j.Exit == "ok") {
		j.Exit, j.Code = c.Exit, c.Code
	}
}

func counts(of map[string]int) []Count {
	list := []Count{}
	for _, name := range slices.Sorted(maps.Keys(of)) {
		list = append(list, Count{name, of[name]})
	}
	slices.SortStableFunc(list, func(a, b Count) int { return b.Count - a.Count })
	return list
}

func usage(ended []Job) []Usage {
	list := []Usage{}
	for _, u := range Grouped(ended, func(j Job) (string, Usage) { return j.Account, Usage{Account: j.Account} }, (*Usage).add) {
		list = append(list, *u)
	}
	slices.SortFunc(list, func(a, b Usage) int { return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(a.Account, b.Account)) })
	return list
}

func (u *Usage) add(j Job) {
	u.Jobs++
	if j.Exit != "ok" {
		u.Failed++
	}
	u.CPU, u.Wall, u.Disk = u.CPU+j.CPU, u.Wall+j.Last.Sub(j.Began).Seconds(), max(u.Disk, j.Disk)
}

// Grouped adds each job to the sum with its key, which begins as key returns it. The sums
// have no order.
func Grouped[K comparable, S any](jobs []Job, key func(Job) (K, S), add func(*S, Job)) []*S {
	of := map[K]*S{}
	for _, j := range jobs {
		k, first := key(j)
		if of[k] == nil {
			of[k] = &first
		}
		add(of[k], j)
	}
	return slices.Collect(maps.Values(of))
}

// attention lists the problems that do not end by themselves, the most urgent kind
// first.
func attention(live []Job, now time.Time) []Notice {
	var list []Notice
	for _, kind := range []struct {
		id, what, do string
		is           func(Job) bool
	}{
		{"ghost", "left by a runner that has ended", "run on that host: jacamar-admin reap", func(j Job) bool { return j.State == journal.Ghost }},
		{"overdue", "running after their timeout", "run on that host: jacamar-admin reap", func(j Job) bool { return j.State == journal.Overdue }},
		{"unread", "whose file in the journal cannot be read", "run on that host: jacamar-admin check", func(j Job) bool { return j.State == journal.Unread }},
		{"quiet", "without an event for a long time", "check that gitlab-runner works on that host", func(j Job) bool { return j.State == journal.Quiet }},
		{"pending", "pending in the batch system for over an hour", "run: jacamar-admin show JOB, for the reason", func(j Job) bool {
			return j.State == journal.Running && j.Phase == journal.PhasePending && now.Sub(j.Last) > longWait
		}},
	} {
		var ids []string
		for _, j := range live {
			if kind.is(j) {
				ids = append(ids, j.ID)
			}
		}
		if len(ids) > 0 {
			list = append(list, Notice{kind.id, fmt.Sprintf("%d %s: %s", len(ids), kind.what, strings.Join(ids[:min(len(ids), 10)], ", ")), kind.do})
		}
	}
	return list
}
