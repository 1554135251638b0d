package auditlog

import (
	"fmt"
	"math"
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

func (s Subject) fields() logrus.Fields {
	f := logrus.Fields{}
	putID(f, "job", s.Job)
	putID(f, "pipeline", s.Pipeline)
	putID(f, "project_id", s.ProjectID)
	putID(f, "user_id", s.UserID)
	putID(f, "runner", s.Runner)
	put(f, "stage", string(s.Stage))
	put(f, "sub_stage", string(s.SubStage))
	put(f, "project", s.Project)
	put(f, "login", s.Login)
	put(f, "image", s.Image)
	put(f, "jti", job.Cut(s.TokenID, tokenPrefix))
	if s.Account != nil {
		f["account"], f["uid"] = s.Account.Name.String(), uint32(s.Account.UID)
	}
	return f
}

func (v Verdict) fields() (logrus.Fields, string) {
	decision := "deny"
	if v.Allowed {
		decision = "allow"
	}
	f := logrus.Fields{"decision": decision}
	put(f, "rule", v.Rule)
	put(f, "reason", v.Reason)
	return f, bounded(fmt.Sprintf("%s by %s", decision, v.Rule))
}

func (e End) fields() (logrus.Fields, string) {
	f := logrus.Fields{"exit": e.Exit, "duration": seconds(e.Duration)}
	if e.Code != 0 {
		f["exit_code"] = e.Code
	}
	put(f, "reason", e.Reason)
	return f, "stage ended: " + e.Exit
}

func (j JobEnd) fields() (logrus.Fields, string) {
	f, _ := j.End.fields()
	if j.Exit == "" {
		delete(f, "exit")
	}
	putName(f, "rule", j.Rule)
	putName(f, "executor", j.Executor)
	putName(f, "failed_stage", j.Failed)
	putName(f, "scheduler", j.Scheduler)
	putName(f, "batch_id", j.BatchID)
	putName(f, "node", j.Node)
	putNumber(f, "stages", int64(j.Stages))
	putNumber(f, "memory", j.Memory)
	putNumber(f, "waited", seconds(j.Waited))
	putNumber(f, "cpu", seconds(j.CPU))
	return f, "job ended" + strings.TrimSuffix(": "+j.Exit, ": ")
}

// seconds rounds to milliseconds.
func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

// maxText bounds one value in a record, including escapes, in bytes. Servers cut long
// records (rsyslog at 8 KiB), and cut JSON is not readable; a record has eight such
// values.
const maxText = 800

func put(f logrus.Fields, key, text string) {
	if text != "" {
		f[key] = bounded(text)
	}
}

func putName(f logrus.Fields, key, text string) {
	if text != "" {
		f[key] = cut(text, maxName)
	}
}

func putNumber[N int64 | float64](f logrus.Fields, key string, n N) {
	if n != 0 {
		f[key] = n
	}
}

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

func putID(f logrus.Fields, key string, id job.ID) {
	if id != 0 {
		f[key] = int64(id)
	}
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
