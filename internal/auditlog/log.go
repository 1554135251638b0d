// Package auditlog writes the operator's log: which user was allowed to run which
// job, as which account and by which rule, and how each stage ended. One record is
// one line of JSON.
//
// Every record has
//
//	time      RFC 3339, with the host's offset
//	level     debug, info, warning or error
//	event     decision, stage_end, job_end, warning or rule
//	msg       a summary
//	name      the instance (general.name), if configured
//	seq       its number on this host, taken before it is written
//	call      the call that wrote it: process id and start time
//	call_seq  its number in that call, whose last record is the stage_end
//
// and, if known,
//
//	stage, sub_stage            the stage that the runner called
//	job, pipeline               GitLab's numbers
//	project, project_id         the project of the job
//	login, user_id              the GitLab user who caused the job
//	runner                      the runner's number at GitLab
//	account, uid                the local account
//	jti                         the first 8 characters of the token's id
//
// A decision adds decision (allow or deny), rule and reason. The end of a stage adds
// exit (ok, build, denied, config or system), exit_code (of a script that failed),
// duration in seconds and reason. The end of a job adds these for the whole job, and,
// if known, rule, executor, failed_stage, stages (their number), scheduler, batch_id,
// node, waited and cpu in seconds, and memory in bytes. A rule, which only the level debug writes, adds
// rule, outcome and reason.
//
// Control characters, and those that change the direction of text, are escaped, so
// that no value can start a new line or record. No record has a token: the input of
// this package is verified claims and Jacamar's own text.
//
// A record that cannot be written is lost. This is reported once and never stops a
// job.
package auditlog

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"time"
)

// Settings configure a Log.
type Settings struct {
	// Level is the lowest level that is written: debug, info, warning or error.
	Level string
	// Instance is the name of this installation, "" for none.
	Instance    string
	Destination Destination
	// Call identifies this call on the host: its process id and start time.
	Call string
	// Counter numbers records; nil for no numbers.
	Counter *Counter
	// Lost gets the error of the first record that cannot be written, and of the first
	// that cannot be numbered.
	Lost func(error)
}

// level is the severity of a record: its number in RFC 3164 section 4.1.1.
type level int

const (
	errorLevel level = 3
	warning    level = 4
	info       level = 6
	debug      level = 7
)

// String returns the name of the level in a record.
func (l level) String() string {
	return map[level]string{errorLevel: "error", warning: "warning", info: "info", debug: "debug"}[l]
}

// Log is the log of one call. The zero value writes nothing. It must not be used
// concurrently.
type Log struct {
	least    level
	sink     *sink
	sequence *sequence
	instance string
}

// New returns a log. It opens nothing before the first record.
func New(s Settings) (Log, error) {
	o := &sink{destination: s.Destination, lost: s.Lost}
	for _, l := range []level{errorLevel, warning, info, debug} {
		if l.String() == s.Level {
			return Log{l, o, &sequence{call: s.Call, counter: s.Counter, lost: o.report}, s.Instance}, nil
		}
	}
	return Log{}, fmt.Errorf("%q is not the level of a log", s.Level)
}

// Decided writes a decision: at level info if it allows, warning if it denies.
func (l Log) Decided(s Subject, v Verdict) {
	at := warning
	if v.Allowed {
		at = info
	}
	l.write(at, "decision", s, v.fields)
}

// Ended writes the end of a stage: at level error for a failure of the resource or its
// configuration, else info.
func (l Log) Ended(s Subject, e End) {
	at := info
	if e.isFault() {
		at = errorLevel
	}
	l.write(at, "stage_end", s, e.fields)
}

// JobEnded writes the end of a job: at level error and warning as Ended and Decided, else
// info.
func (l Log) JobEnded(s Subject, j JobEnd) {
	at := info
	switch {
	case j.isFault():
		at = errorLevel
	case j.Exit == "denied":
		at = warning
	}
	s.Stage, s.SubStage = "", ""
	l.write(at, "job_end", s, j.fields)
}

// Warned writes an error that did not stop the stage.
func (l Log) Warned(s Subject, err error) {
	l.write(warning, "warning", s, func() (fields, string) { return texts(maxText, "reason", err.Error()), "warning" })
}

// Checked writes the outcome of one rule.
func (l Log) Checked(s Subject, r Rule) {
	l.write(debug, "rule", s, r.fields)
}

// write writes a record, with what own returns, if the log has its level.
func (l Log) write(at level, event string, s Subject, own func() (f fields, msg string)) {
	if l.sink == nil || at > l.least {
		return
	}
	now := time.Now()
	f, msg := own()
	maps.Copy(f, s.fields())
	f["time"], f["level"], f["event"], f["msg"] = now.Format(time.RFC3339Nano), at.String(), event, msg
	l.sequence.addTo(f)
	put(f, "name", bounded(l.instance))
	l.sink.write(at, now, f)
}

// Close closes the connection. All records have been sent by then.
func (l Log) Close() {
	if l.sink != nil {
		l.sink.close()
		l.sequence.close()
	}
}

// WriteTest writes a test record. It returns why the record could not be written, or
// why it could not be numbered.
func (l Log) WriteTest() error {
	if l.sink == nil {
		return nil
	}
	l.least = info // written whatever the log leaves out, and no alarm
	l.write(info, "test", Subject{}, func() (fields, string) { return fields{}, "jacamar-admin check: this log can be written" })
	return cmp.Or(l.sink.failed, l.sequence.failed)
}

// sink opens the destination at the first record, and writes nothing after an error.
type sink struct {
	destination Destination
	lost        func(error)
	connection  io.WriteCloser
	failed      error
}

func (o *sink) write(at level, now time.Time, f fields) {
	if o.failed == nil {
		o.failed = o.send(at, now, f)
		o.report(o.failed)
	}
}

func (o *sink) report(err error) {
	if err != nil && o.lost != nil {
		o.lost(err)
	}
}

// send writes a record as one line of JSON in the frame of the destination.
func (o *sink) send(at level, now time.Time, f fields) (err error) {
	if o.connection == nil {
		if o.connection, err = o.destination.open(); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		return err
	}
	_, err = o.connection.Write(o.destination.frame(at, now, escape(text.Bytes())))
	return err
}

func (o *sink) close() {
	if o.connection != nil {
		_ = o.connection.Close()
		o.connection = nil
	}
}

// sendTimeout bounds the connection to a log server and the sending of each record.
const sendTimeout = 2 * time.Second
