package auditlog

import (
	"fmt"
	"math"
	"time"

	"github.com/sirupsen/logrus"

	"jacamar-ci/internal/job"
)

// Subject is what a record is about. What is not known is zero, and left out.
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
	TokenID   string // jti; a record shows its beginning
	// Account is the local account, nil where none is known.
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

// Rule is what one rule said on the way to a decision.
type Rule struct{ Name, Outcome, Reason string }

// tokenPrefix tells tokens of one job apart from others and is of no use to
// anybody who reads it.
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
	put(f, "jti", job.Cut(s.TokenID, tokenPrefix))
	if s.Account != nil {
		f["account"], f["uid"] = s.Account.Name.String(), uint32(s.Account.UID)
	}
	return f
}

func (v Verdict) fields() (logrus.Fields, string) {
	word := "deny"
	if v.Allowed {
		word = "allow"
	}
	f := logrus.Fields{"decision": word}
	put(f, "rule", v.Rule)
	put(f, "reason", v.Reason)
	return f, bounded(fmt.Sprintf("%s by %s", word, v.Rule))
}

func (e End) fields() (logrus.Fields, string) {
	f := logrus.Fields{"exit": e.Exit, "duration": math.Round(e.Duration.Seconds()*1000) / 1000}
	if e.Code != 0 {
		f["exit_code"] = e.Code
	}
	put(f, "reason", e.Reason)
	return f, "stage ended: " + e.Exit
}

// maxText bounds one value as the record has it, escapes included, in bytes. A
// server cuts long records (8 KiB with rsyslog), and cut JSON cannot be read; a
// record has eight such values.
const maxText = 800

func put(f logrus.Fields, key, text string) {
	if text != "" {
		f[key] = bounded(text)
	}
}

// bounded keeps as much of a text as a record may have of one value.
func bounded(text string) string {
	if len(text) <= maxText/longestEscape {
		return text
	}
	room := maxText
	for at, r := range text {
		if room -= escaped(r); room < 0 {
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
