// Package auditlog writes the operator's log: which user was allowed to run which
// job, as which account and by which rule, and how each stage ended. One record is
// one line of JSON.
//
// Every record has
//
//	time      RFC 3339, with the host's offset
//	level     debug, info, warning or error
//	event     decision, stage_end, job_end, warning, rule or test
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
//	image                       the image that the job runs in
//	jti                         the first 8 characters of the token's id
//
// A decision adds decision (allow or deny), rule and reason. The end of a stage adds
// exit (ok, build, denied, config or system), exit_code (of a script that failed),
// duration in seconds and reason. The end of a job adds these for the whole job, and,
// if known, rule, executor, failed_stage, stages (their number), scheduler, batch_id,
// node, waited and cpu in seconds, and memory in bytes. A warning adds reason. A rule,
// which only the level debug writes, adds rule, outcome and reason.
//
// Control characters, and those that change the direction of text, are escaped, so
// that no value can start a new line or record. No record has a token: the input of
// this package is verified claims and Jacamar's own text.
//
// A record that cannot be written is lost. This is reported once; the caller decides
// whether the job runs.
package auditlog

import (
	"cmp"
	"io"
	"maps"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
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

// Log is the log of one call. The zero value writes nothing. It must not be used
// concurrently.
type Log struct {
	logger   *logrus.Logger
	sink     *sink
	sequence *sequence
	instance string
}

// New returns a log. It opens nothing before the first record.
func New(s Settings) (Log, error) {
	level, err := logrus.ParseLevel(s.Level)
	if err != nil {
		return Log{}, err
	}
	o := &sink{destination: s.Destination, lost: s.Lost}
	logger := logrus.New()
	logger.SetLevel(level)
	logger.SetFormatter(formatter{frame: s.Destination.frame})
	logger.SetOutput(o)
	return Log{logger, o, &sequence{call: s.Call, counter: s.Counter, lost: o.report}, s.Instance}, nil
}

// Decided writes a decision: at level info if it allows, warning if it denies.
func (l Log) Decided(s Subject, v Verdict) {
	level := logrus.WarnLevel
	if v.Allowed {
		level = logrus.InfoLevel
	}
	l.write(level, "decision", s, v.fields)
}

// Ended writes the end of a stage: at level error for a failure of the resource or its
// configuration, else info.
func (l Log) Ended(s Subject, e End) {
	level := logrus.InfoLevel
	if e.isFault() {
		level = logrus.ErrorLevel
	}
	l.write(level, "stage_end", s, e.fields)
}

// JobEnded writes the end of a job: at level error and warning as Ended and Decided, else
// info.
func (l Log) JobEnded(s Subject, j JobEnd) {
	level := logrus.InfoLevel
	switch {
	case j.isFault():
		level = logrus.ErrorLevel
	case j.Exit == "denied":
		level = logrus.WarnLevel
	}
	s.Stage, s.SubStage = "", ""
	l.write(level, "job_end", s, j.fields)
}

// Warned writes an error that did not stop the stage.
func (l Log) Warned(s Subject, err error) {
	l.write(logrus.WarnLevel, "warning", s, func() (fields, string) { return texts(maxText, "reason", err.Error()), "warning" })
}

// Checked writes the outcome of one rule.
func (l Log) Checked(s Subject, r Rule) {
	l.write(logrus.DebugLevel, "rule", s, r.fields)
}

// write writes a record, with what own returns, if the log has its level.
func (l Log) write(level logrus.Level, event string, s Subject, own func() (f fields, msg string)) {
	if l.logger == nil || !l.logger.IsLevelEnabled(level) {
		return
	}
	f, msg := own()
	maps.Copy(f, s.fields())
	f["event"] = event
	l.sequence.addTo(f)
	put(f, "name", bounded(l.instance))
	l.logger.WithFields(f).Log(level, msg)
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
	if l.logger == nil {
		return nil
	}
	level := l.logger.GetLevel()
	l.logger.SetLevel(logrus.InfoLevel) // written whatever the log leaves out, and no alarm
	defer l.logger.SetLevel(level)
	l.write(logrus.InfoLevel, "test", Subject{}, func() (fields, string) { return fields{}, "jacamar-admin check: this log can be written" })
	return cmp.Or(l.sink.failed, l.sequence.failed)
}

// sink opens the destination at the first record. It hides errors from logrus, which
// would print one for each record.
type sink struct {
	destination Destination
	lost        func(error)
	mu          sync.Mutex
	connection  io.WriteCloser
	failed      error
}

// Write implements io.Writer.
func (o *sink) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		o.failed = o.send(p)
		o.report(o.failed)
	}
	return len(p), nil
}

func (o *sink) report(err error) {
	if err != nil && o.lost != nil {
		o.lost(err)
	}
}

func (o *sink) send(p []byte) (err error) {
	if o.connection == nil {
		if o.connection, err = o.destination.open(); err != nil {
			return err
		}
	}
	_, err = o.connection.Write(p)
	return err
}

func (o *sink) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.connection != nil {
		_ = o.connection.Close()
		o.connection = nil
	}
}

// sendTimeout bounds the connection to a log server and the sending of each record.
const sendTimeout = 2 * time.Second
