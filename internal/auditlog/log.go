package auditlog

import (
	"cmp"
	"maps"

	"github.com/sirupsen/logrus"
)

// Settings say where records go.
type Settings struct {
	// Level is the least important kind of record that is kept: debug, info,
	// warning or error.
	Level string
	// Instance is the name of this installation, "" for none.
	Instance string
	Place    Place
	// Call names this call among all of the host's: its process id and start.
	Call string
	// Counter numbers records; nil leaves the number out.
	Counter *Counter
	// Lost is told of the first record that cannot be written, and of the first
	// that cannot be numbered.
	Lost func(error)
}

// Log is the log of one call. The zero value writes nothing. One goroutine writes
// to it at a time.
type Log struct {
	logger   *logrus.Logger
	outlet   *outlet
	sequence *sequence
	instance string
}

// New makes a log. Nothing is opened before the first record.
func New(s Settings) (Log, error) {
	level, err := logrus.ParseLevel(s.Level)
	if err != nil {
		return Log{}, err
	}
	o := &outlet{place: s.Place, lost: s.Lost}
	logger := logrus.New()
	logger.SetLevel(level)
	logger.SetFormatter(formatter{frame: s.Place.frame})
	logger.SetOutput(o)
	return Log{logger, o, &sequence{call: s.Call, counter: s.Counter, lost: o.tell}, s.Instance}, nil
}

// Enabled reports whether anything is written at all.
func (l Log) Enabled() bool { return l.logger != nil }

// Decided writes a decision: at level info when it allows, warning when it denies.
func (l Log) Decided(s Subject, v Verdict) {
	level := logrus.WarnLevel
	if v.Allowed {
		level = logrus.InfoLevel
	}
	if l.keeps(level) {
		fields, msg := v.fields()
		l.write(level, "decision", msg, s, fields)
	}
}

// Ended writes the end of a stage: at level error for a failure of the resource
// or its configuration, else info.
func (l Log) Ended(s Subject, e End) {
	level := logrus.InfoLevel
	if e.Exit == "system" || e.Exit == "config" {
		level = logrus.ErrorLevel
	}
	if l.keeps(level) {
		fields, msg := e.fields()
		l.write(level, "stage_end", msg, s, fields)
	}
}

// Warned writes what did not stop the work.
func (l Log) Warned(s Subject, err error) {
	if l.keeps(logrus.WarnLevel) {
		fields := logrus.Fields{}
		put(fields, "reason", err.Error())
		l.write(logrus.WarnLevel, "warning", "warning", s, fields)
	}
}

// Walked writes what one rule said.
func (l Log) Walked(s Subject, r Rule) {
	if l.keeps(logrus.DebugLevel) {
		fields := logrus.Fields{}
		put(fields, "rule", r.Name)
		put(fields, "outcome", r.Outcome)
		put(fields, "reason", r.Reason)
		l.write(logrus.DebugLevel, "rule", bounded(r.Name+": "+r.Outcome), s, fields)
	}
}

func (l Log) keeps(level logrus.Level) bool { return l.logger != nil && l.logger.IsLevelEnabled(level) }

func (l Log) write(level logrus.Level, event, msg string, s Subject, own logrus.Fields) {
	fields := s.fields()
	maps.Copy(fields, own)
	fields["event"] = event
	l.sequence.mark(fields)
	put(fields, "name", l.instance)
	l.logger.WithFields(fields).Log(level, msg)
}

// Close gives up the connection. What was written has left by then.
func (l Log) Close() {
	if l.outlet != nil {
		l.outlet.close()
		l.sequence.close()
	}
}

// Try writes one record that says it is a test. It returns why the record could
// not be written, or else why it could not be numbered.
func (l Log) Try() error {
	if l.logger == nil {
		return nil
	}
	l.write(logrus.ErrorLevel, "test", "jacamar-admin check: this log can be written", Subject{}, nil)
	return cmp.Or(l.outlet.failed, l.sequence.failed)
}
