package auditlog

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sirupsen/logrus"

	"jacamar-ci/internal/job"
)

// Subject is the stage and job of a record. Unknown values are zero and omitted.
type Subject struct {
	Stage     job.Stage
	SubStage  job.SubStage
	Job       job.ID
	Pipeline  job.ID
	Project   string
	ProjectID job.ID
	Login     string // at GitLab
	UserID    job.ID // at GitLab
	Runner    job.ID
	TokenID   string // jti; a record has its first characters
	Image     string // that the job runs in, "" for none
	// Account is the local account, nil if unknown.
	Account *job.Account
}

// Verdict is a decision about a job.
type Verdict struct {
	Allowed bool
	Rule    string // the rule that decided
	Reason  string
}

// End is how a stage ended.
type End struct {
	// Exit is ok or the failure's kind.
	Exit string
	// Code is the exit code of the job's own script, 0 if it did not fail.
	Code     int
	Duration time.Duration
	Reason   string
}

// isFault reports whether the failure is of the resource or of its configuration.
func (e End) isFault() bool { return e.Exit == "system" || e.Exit == "config" }

// JobEnd is how a job ended, as far as its stages have recorded it. Unknown values are
// zero and omitted.
type JobEnd struct {
	// End is that of the job: Exit is of the first stage that failed, and Duration since
	// the job's first stage began.
	End
	// Rule decided about the job; Executor ran it.
	Rule, Executor string
	// Failed is the stage that failed, "" for none.
	Failed string
	Stages int
	// Scheduler, BatchID and Node are of the batch job, which has waited in the queue.
	Scheduler, BatchID, Node string
	Waited                   time.Duration
	// CPU and Memory (the largest resident set, in bytes) are of all stages.
	CPU    time.Duration
	Memory int64
}

// Rule is the outcome of one rule.
type Rule struct{ Name, Outcome, Reason string }

// tokenPrefix is how much of a token's id is written: enough to distinguish the tokens
// of different jobs.
const tokenPrefix = 8

// fields are those of a record.
type fields = logrus.Fields

// put adds a field unless its value is unknown, which is the zero value.
func put[T comparable](f fields, key string, value T) {
	var unknown T
	if value != unknown {
		f[key] = value
	}
}

// texts are the fields of pairs of names and texts, each of at most size bytes.
func texts(size int, pairs ...string) fields {
	f := fields{}
	for pair := range slices.Chunk(pairs, 2) {
		put(f, pair[0], cut(pair[1], size))
	}
	return f
}

func (s Subject) fields() fields {
	f := texts(maxText, "stage", string(s.Stage), "sub_stage", string(s.SubStage), "project", s.Project, "login", s.Login, "image", s.Image, "jti", job.Cut(s.TokenID, tokenPrefix))
	put(f, "job", s.Job)
	put(f, "pipeline", s.Pipeline)
	put(f, "project_id", s.ProjectID)
	put(f, "user_id", s.UserID)
	put(f, "runner", s.Runner)
	if s.Account != nil {
		f["account"], f["uid"] = s.Account.Name.String(), uint32(s.Account.UID)
	}
	return f
}

func (v Verdict) fields() (fields, string) {
	f := texts(maxText, "decision", "deny", "rule", v.Rule, "reason", v.Reason)
	if v.Allowed {
		f["decision"] = "allow"
	}
	return f, bounded(fmt.Sprintf("%s by %s", f["decision"], v.Rule))
}

func (r Rule) fields() (fields, string) {
	return texts(maxText, "rule", r.Name, "outcome", r.Outcome, "reason", r.Reason), bounded(r.Name + ": " + r.Outcome)
}

func (e End) fields() (fields, string) {
	f := texts(maxText, "reason", e.Reason)
	f["exit"], f["duration"] = e.Exit, seconds(e.Duration)
	put(f, "exit_code", e.Code)
	return f, "stage ended: " + e.Exit
}

func (j JobEnd) fields() (fields, string) {
	f, _ := j.End.fields()
	if j.Exit == "" {
		delete(f, "exit")
	}
	maps.Copy(f, texts(maxName, "rule", j.Rule, "executor", j.Executor, "failed_stage", j.Failed, "scheduler", j.Scheduler, "batch_id", j.BatchID, "node", j.Node))
	put(f, "stages", j.Stages)
	put(f, "memory", j.Memory)
	put(f, "waited", seconds(j.Waited))
	put(f, "cpu", seconds(j.CPU))
	return f, "job ended" + strings.TrimSuffix(": "+j.Exit, ": ")
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// maxText bounds one value in a record, including escapes, in bytes. Servers cut long
// records (rsyslog at 8 KiB), and cut JSON is not readable; a record has eight such
// values.
const maxText = 800

// maxName is maxText for short names, of which the end of a job has many.
const maxName = 128

// bounded shortens a text to maxText.
func bounded(text string) string { return cut(text, maxText) }

// cut shortens a text to a size in the record.
func cut(text string, size int) string {
	if len(text) <= size/longestEscape {
		return text
	}
	left := size
	for at, r := range text {
		if left -= escapedLength(r); left < 0 {
			return text[:at] + "…"
		}
	}
	return text
}

// formatter writes an entry as one line of JSON in the frame of the destination.
type formatter struct{ frame frame }

// frame adds the header and trailer of a destination to a line without line end.
type frame func(level logrus.Level, at time.Time, line []byte) []byte

// Format implements logrus.Formatter.
func (f formatter) Format(e *logrus.Entry) ([]byte, error) {
	plain := logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano, DisableHTMLEscape: true}
	text, err := plain.Format(e)
	if err != nil {
		return nil, err
	}
	return f.frame(e.Level, e.Time, escape(text)), nil
}

// escape writes as \uXXXX the characters that encoding/json does not escape: DEL, the
// control characters from 0x80 on, and the marks that change the direction of text or
// have no width. In JSON they only occur in strings, so the meaning does not change.
// escape also removes the line end.
func escape(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == '\n':
		case needsEscape(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, text[:n]...)
		}
		text = text[n:]
	}
	return out
}

// longestEscape is the length of \uXXXX.
const longestEscape = 6

// escapedLength is the number of bytes of a character in a record.
func escapedLength(r rune) int {
	switch {
	case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == '\f':
		return 2
	case r < ' ' || r == utf8.RuneError || needsEscape(r):
		return longestEscape
	}
	return utf8.RuneLen(r)
}

// needsEscape reports whether a character is one of Unicode's Bidi_Control, has no
// width, or is a separator that some viewers treat as a line end.
func needsEscape(r rune) bool {
	switch {
	case r >= 0x7f && r < 0xa0,
		r >= 0x200b && r <= 0x200f,
		r >= 0x2028 && r <= 0x202e,
		r >= 0x2060 && r <= 0x2069,
		r == 0x061c, r == 0xfeff:
		return true
	}
	return false
}
