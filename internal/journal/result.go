package journal

import (
	"strings"
	"time"
)

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
				r.Began = time.UnixMilli(int64(e.Time * 1000))
			}
		case StageEnd:
			r.addStage(c)
		case Batch:
			r.addBatch(c)
		}
	}
	return r
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
