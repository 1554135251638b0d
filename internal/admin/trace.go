package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"jacamar-ci/internal/admin/status"
	"jacamar-ci/internal/journal"
)

// Trace writes the jobs that ended in a period as OTLP/JSON, one object in each line, as
// the otlpjsonfile receiver of the OpenTelemetry collector reads it: a span for each job,
// with one for each stage and for the wait in a batch system below it.
// Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
func Trace(w io.Writer, js Journals, since time.Duration, now time.Time) error {
	ended := func(r journal.Record) bool { _, refused := r.Find(journal.Refused); return !refused }
	past, unread, err := js.pastRecords(now.Add(-since), ended)
	if err != nil {
		return err
	}
	for _, r := range past {
		if err := json.NewEncoder(w).Encode(traceOf(r)); err != nil {
			return fmt.Errorf("cannot write a trace: %w", err)
		}
	}
	return unread
}

// The messages of OTLP, as far as they are used. 64-bit numbers are strings in JSON.
type (
	tracesData struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   resource     `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	resource struct {
		Attributes []attribute `json:"attributes"`
	}
	scopeSpans struct {
		Scope scope  `json:"scope"`
		Spans []span `json:"spans"`
	}
	scope struct {
		Name string `json:"name"`
	}
	span struct {
		TraceID    string      `json:"traceId"`
		SpanID     string      `json:"spanId"`
		Parent     string      `json:"parentSpanId,omitempty"`
		Name       string      `json:"name"`
		Kind       int         `json:"kind"`
		Start      string      `json:"startTimeUnixNano"`
		End        string      `json:"endTimeUnixNano"`
		Attributes []attribute `json:"attributes,omitempty"`
		Status     spanStatus  `json:"status"`
	}
	spanStatus struct {
		Code    int    `json:"code,omitempty"`
		Message string `json:"message,omitempty"`
	}
	attribute struct {
		Key   string         `json:"key"`
		Value map[string]any `json:"value"` // by the name of its type
	}
)

const (
	internalSpan = 1 // SPAN_KIND_INTERNAL
	failedSpan   = 2 // STATUS_CODE_ERROR
)

func text(key, v string) attribute { return attribute{key, map[string]any{"stringValue": v}} }

func number(key string, v int64) attribute {
	return attribute{key, map[string]any{"intValue": strconv.FormatInt(v, 10)}}
}

func double(key string, v float64) attribute {
	return attribute{key, map[string]any{"doubleValue": v}}
}

// traceOf is the trace of one job. Below the runner's own span if GitLab gave one, else
// the jobs of a pipeline have one trace.
func traceOf(r journal.Record) tracesData {
	j := status.NewJob(r)
	granted, _ := r.Find(journal.Granted)
	c := granted.Context
	traceID, parent := c.Trace, c.Span
	if traceID == "" {
		traceID, parent = sumOf(16, "pipeline", c.ProjectID.String(), c.Pipeline.String()), ""
	}
	own := sumOf(8, "job", j.Host, j.ID, nanoseconds(unixOf(j.Began)))
	top := span{
		TraceID: traceID, SpanID: own, Parent: parent, Name: "job", Kind: internalSpan,
		Start: nanoseconds(unixOf(j.Began)), End: nanoseconds(unixOf(j.Last)), Status: statusOf(j.Exit, ""),
		Attributes: []attribute{
			text("ci.job.id", j.ID), text("ci.pipeline.id", c.Pipeline.String()), text("ci.project.path", j.Project),
			text("cicd.pipeline.task.run.id", j.ID), text("cicd.pipeline.task.run.result", resultOf(j.Exit)),
			text("user.name", j.Account), text("jacamar.executor", j.Executor), text("jacamar.exit", j.Exit),
			double("jacamar.cpu", j.CPU), number("jacamar.memory.peak", j.Peak), number("jacamar.disk", j.Disk),
		},
	}
	return tracesData{[]resourceSpans{{
		resource{[]attribute{text("service.name", "jacamar-ci"), text("host.name", j.Host)}},
		[]scopeSpans{{scope{"jacamar-ci"}, append([]span{top}, below(r, traceID, own)...)}},
	}}}
}

// below are the spans of the stages and of the waits.
func below(r journal.Record, traceID, parent string) (spans []span) {
	child := func(name string, start, end float64, status spanStatus, attributes ...attribute) {
		spans = append(spans, span{
			TraceID: traceID, SpanID: sumOf(8, parent, name, nanoseconds(start)), Parent: parent, Name: name, Kind: internalSpan,
			Start: nanoseconds(start), End: nanoseconds(max(start, end)), Status: status, Attributes: attributes,
		})
	}
	begun := map[string]float64{}
	submitted := 0.0
	for _, e := range r.Events {
		c := e.Context
		switch {
		case e.Name == journal.Stage:
			begun[c.Stage] = e.Time
		case e.Name == journal.StageEnd && begun[c.Stage] != 0:
			child(c.Stage, begun[c.Stage], e.Time, statusOf(c.Exit, c.Reason), text("jacamar.exit", c.Exit), double("jacamar.cpu", c.CPU))
			delete(begun, c.Stage)
		case e.Name == journal.Batch && c.Phase == journal.PhaseSubmitted:
			submitted = e.Time
		case e.Name == journal.Batch && submitted != 0 && (c.Phase == journal.PhaseRunning || c.Phase == journal.PhaseEnded):
			child("batch wait", submitted, submitted+max(c.Seconds, 0), spanStatus{}, text("jacamar.batch.id", c.BatchID), text("jacamar.batch.node", c.Node))
			submitted = 0
		}
	}
	return spans
}

func statusOf(exit, reason string) spanStatus {
	if exit == "ok" || exit == "" {
		return spanStatus{}
	}
	return spanStatus{failedSpan, reason}
}

// resultOf is the value of cicd.pipeline.task.run.result in the semantic conventions.
func resultOf(exit string) string {
	switch exit {
	case "ok":
		return "success"
	case "build":
		return "failure"
	}
	return "error"
}

func unixOf(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// nanoseconds formats seconds since 1970, whose precision is a millisecond.
func nanoseconds(seconds float64) string {
	return strconv.FormatInt(time.UnixMilli(int64(seconds*1000+0.5)).UnixNano(), 10)
}

// sumOf is an id of n bytes that depends on the texts.
func sumOf(n int, texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:%s,", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil)[:n])
}
