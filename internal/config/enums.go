package config

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// LogLevel is the least important record that is kept.
type LogLevel string

// The levels of the operator's log.
const (
	Debug   LogLevel = "debug"
	Info    LogLevel = "info"
	Warning LogLevel = "warning"
	Error   LogLevel = "error"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LogLevel) UnmarshalText(b []byte) error {
	return settings.Pick(l, b, []settings.Spelling[LogLevel]{{Text: "debug", Value: Debug}, {Text: "info", Value: Info}, {Text: "warning", Value: Warning}, {Text: "warn", Value: Warning}, {Text: "error", Value: Error}})
}

// Location is where the operator's log goes.
type Location struct {
	Syslog, Journal bool
	File            job.AbsPath // zero = syslog, the journal, or LogName in the state directory
}

// LogName is the file in the state directory that has the operator's log where a
// site names no other place, and CounterName the one with the number of its last
// record, whatever the place.
const (
	LogName     = "operator.log"
	CounterName = "operator.seq"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Location) UnmarshalText(b []byte) (err error) {
	switch s := string(b); {
	case s == "syslog":
		*l = Location{Syslog: true}
	case s == "journald":
		*l = Location{Journal: true}
	case strings.HasPrefix(s, "/"):
		l.File, err = job.ParseAbsPath(s)
	default:
		err = fmt.Errorf("%q is not known: write \"syslog\", \"journald\" or an absolute path", job.Clip(s))
	}
	return err
}

// String returns the location as a configuration writes it.
func (l Location) String() string {
	switch {
	case l.Syslog:
		return "syslog"
	case l.Journal:
		return "journald"
	}
	return l.File.String()
}
