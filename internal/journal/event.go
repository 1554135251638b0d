// Package journal records, in files that only jacamar-auth writes, which jobs are live
// and how the others ended. A live job has one small file of events, one JSON object
// on each line (the form of Flux RFC 18 event logs). When it ends, the lines are moved
// to the file of the day. There is no lock file, no database and no daemon.
//
// A journal that cannot be written stops no job: the caller reports the error and
// continues.
package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
)

// Key identifies a live job by verified numbers, not by text of the job's author.
type Key struct {
	UID     job.UID
	Project job.ID
	Job     job.ID
}

// String is the name of the job's live file.
func (k Key) String() string {
	return strconv.FormatUint(uint64(k.UID), 10) + "." + k.Project.String() + "." + k.Job.String()
}

// ParseKey reads the name of a live file.
func ParseKey(name string) (Key, error) {
	parts := append(strings.Split(name, "."), "", "")
	uid, err := strconv.ParseUint(parts[0], 10, 32)
	project, err1 := job.ParseID(parts[1])
	id, err2 := job.ParseID(parts[2])
	k := Key{job.UID(uid), project, id}
	if errors.Join(err, err1, err2) != nil || k.String() != name {
		return Key{}, fmt.Errorf("%q is not the name of a live job", job.Clip(name))
	}
	return k, nil
}

// Name is the kind of an event.
type Name string

// The events, in the order of a job's life.
const (
	Refused   Name = "refused"   // a config stage refused the job
	Held      Name = "held"      // a config stage waits for the end of a drain or for a cap
	Granted   Name = "granted"   // the rules allow the job
	Settled   Name = "settled"   // the config stage created the directories
	Stage     Name = "stage"     // a stage started
	StageEnd  Name = "stage_end" // a stage ended
	Batch     Name = "batch"     // as the account's jacamar reports: the batch job's phase
	Disk      Name = "disk"      // as the account's jacamar reports: the size of the build directory
	Ended     Name = "ended"     // cleanup ran
	Reaped    Name = "reaped"    // the job was cleaned up after its runner had ended
	Truncated Name = "truncated" // the live file is full
)

// The phases of a batch job in its events, as the account's jacamar reports them.
const (
	PhaseSubmitted = "submitted"
	PhasePending   = "pending"
	PhaseRunning   = "running"
	PhaseEnded     = "ended"
)

// Event is one line.
type Event struct {
	// Time in seconds since 1970, UTC.
	Time    float64 `json:"timestamp"`
	Name    Name    `json:"name"`
	Context Context `json:"context"`
}

// Context is the data of an event. Which fields are set depends on the event.
type Context struct {
	Job       job.ID            `json:"job,omitempty"`
	Pipeline  job.ID            `json:"pipeline,omitempty"`
	Project   string            `json:"project,omitempty"`
	ProjectID job.ID            `json:"project_id,omitempty"`
	Ref       string            `json:"ref,omitempty"`
	Login     string            `json:"login,omitempty"`
	Account   string            `json:"account,omitempty"`
	UID       *job.UID          `json:"uid,omitempty"`
	Host      string            `json:"host,omitempty"`
	Executor  string            `json:"executor,omitempty"`
	Trace     string            `json:"trace,omitempty"` // GitLab's, in hexadecimal
	Span      string            `json:"span,omitempty"`
	Runner    string            `json:"runner,omitempty"`  // its short token, as in paths
	Timeout   int               `json:"timeout,omitempty"` // the job's, in seconds
	Rule      string            `json:"rule,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	Owner     *proctree.Process `json:"owner,omitempty"` // the runner
	// Until is when the job counts as late, in seconds since 1970: an hour after its timeout.
	Until int64 `json:"until,omitempty"`

	Base    string `json:"base,omitempty"`
	Builds  string `json:"builds,omitempty"`
	Scripts string `json:"scripts,omitempty"`

	Stage   string            `json:"stage,omitempty"`
	Process *proctree.Process `json:"process,omitempty"` // the stage's jacamar-auth
	Exit    string            `json:"exit,omitempty"`    // ok, or the kind of the failure
	Code    int               `json:"code,omitempty"`    // the script's exit code
	Seconds float64           `json:"seconds,omitempty"` // how long a stage took, or a batch job waited
	CPU     float64           `json:"cpu,omitempty"`     // processor seconds of everything that the stage ran
	Peak    int64             `json:"peak,omitempty"`    // largest resident set of one process, bytes
	Left    bool              `json:"left,omitempty"`    // processes of the stage could not be ended
	System  string            `json:"system,omitempty"`
	BatchID string            `json:"batch_id,omitempty"`
	Phase   string            `json:"phase,omitempty"`
	Node    string            `json:"node,omitempty"`
	Bytes   int64             `json:"bytes,omitempty"`
	Files   int64             `json:"files,omitempty"`
	Partial bool              `json:"partial,omitempty"` // the size is of a part
}

const (
	// maxLine bounds one event with its line feed, in bytes. A write(2) of this size
	// with O_APPEND is atomic on every local file system.
	maxLine = 2 << 10
	// maxField bounds one text of an event, in bytes.
	maxField = 256
)

// ellipsis is what job.Shorten writes in the place of an omission.
const ellipsis = "…"

// At returns an event with its time.
func At(t time.Time, name Name, c Context) Event {
	return Event{Time: math.Round(float64(t.UnixMilli())) / 1000, Name: name, Context: c}
}

// When is the time of the event.
func (e Event) When() time.Time { return time.UnixMilli(int64(e.Time * 1000)) }

// Shortened reports whether a text of an event may be only the beginning of what was
// recorded.
func Shortened(text string) bool { return strings.HasSuffix(text, ellipsis) }

// line encodes an event. Texts are made printable and shortened, so that they are safe on a
// terminal and that a line stays within maxLine: a job whose author chose texts that take
// more space encoded, as quotation marks do, is recorded like any other.
func (e Event) line() ([]byte, error) {
	for limit := maxField; ; limit /= 2 {
		e.Context.shorten(limit)
		text, err := encode(e)
		if err != nil {
			return nil, fmt.Errorf("cannot encode the event %s: %w", e.Name, err)
		}
		if len(text) <= maxLine || limit == 0 {
			return text, nil
		}
	}
}

func (c *Context) shorten(limit int) {
	for _, text := range []*string{
		&c.Project, &c.Ref, &c.Login, &c.Account, &c.Host, &c.Executor, &c.Trace, &c.Span, &c.Runner, &c.Rule, &c.Reason, &c.Base, &c.Builds, &c.Scripts,
		&c.Stage, &c.Exit, &c.System, &c.BatchID, &c.Phase, &c.Node,
	} {
		*text = job.Shorten(job.Printable(*text), limit)
	}
}

// encode writes a value as one line, without the escapes for HTML that json.Marshal makes:
// six bytes for one.
func encode(value any) ([]byte, error) {
	var line bytes.Buffer
	out := json.NewEncoder(&line)
	out.SetEscapeHTML(false)
	err := out.Encode(value)
	return line.Bytes(), err
}

// Result is what the events of a job amount to. Unknown values are zero.
type Result struct {
	Began time.Time
	// Rule allowed the job, Executor ran it.
	Rule, Executor string
	// Exit is ok, or the kind of the failure of the first stage whose failure is the
	// job's; then Stage is its name, Code the exit code of its script, and Reason the text
	// for the operator.
	Exit   string
	Stage  string
	Code   int
	Reason string
	// Stages is the number of stages that ended.
	Stages int
	// System, BatchID and Node are of the last batch job; Waited is its time in the queue
	// in seconds.
	System, BatchID, Node string
	Waited                float64
	// CPU is the processor time of all stages in seconds, Peak the largest resident set in
	// bytes. Those of batch jobs are included where the batch system reports them.
	CPU  float64
	Peak int64
}

// ResultOf adds up the events of one job.
func ResultOf(events []Event) Result {
	var r Result
	for _, e := range events {
		switch c := e.Context; e.Name {
		case Granted:
			r.Rule, r.Executor = c.Rule, c.Executor
			if r.Began.IsZero() {
				r.Began = e.When()
			}
		case StageEnd:
			r.addStage(c)
		case Batch:
			r.addBatch(c)
		}
	}
	return r
}

// MayRun reports whether processes of ended stages may still run, as far as the events show:
// a stage was killed before another one began, so that it has no end, or it could not end
// all that it had started.
func MayRun(events []Event) bool {
	runs := false
	for _, e := range events {
		switch e.Name {
		case Truncated:
			return true
		case Stage:
			if runs {
				return true
			}
			runs = true
		case StageEnd:
			if runs = false; e.Context.Left {
				return true
			}
		}
	}
	return false
}

func (r *Result) addStage(c Context) {
	r.Stages++
	r.CPU, r.Peak = r.CPU+c.CPU, max(r.Peak, c.Peak)
	switch {
	case r.Exit != "" && r.Exit != "ok":
	case c.Exit == "ok" || !decides(c.Stage):
		r.Exit = "ok"
	default:
		r.Exit, r.Stage, r.Code, r.Reason = c.Exit, c.Stage, c.Code, c.Reason
	}
}

// decides reports whether GitLab Runner fails the job when that stage fails. Source:
// executeScript and executeAfterScript in common/build.go of GitLab Runner.
func decides(stage string) bool {
	return stage != "after_script" && !strings.HasPrefix(stage, "cleanup")
}

func (r *Result) addBatch(c Context) {
	r.System, r.BatchID = c.System, c.BatchID
	if c.Node != "" {
		r.Node = c.Node
	}
	if c.Seconds > 0 {
		r.Waited = c.Seconds
	}
	r.CPU, r.Peak = r.CPU+c.CPU, max(r.Peak, c.Peak)
}
