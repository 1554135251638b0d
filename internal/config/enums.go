package config

import (
	"fmt"
	"strings"

	"jacamar-ci/internal/job"
)

// Executor is what runs the job's script.
type Executor string

// The executors that this version has.
const (
	Shell  Executor = "shell"
	Cobalt Executor = "cobalt"
	Flux   Executor = "flux"
	LSF    Executor = "lsf"
	PBS    Executor = "pbs"
	SGE    Executor = "sge"
	Slurm  Executor = "slurm"
)

// executors are the names that a configuration may give an executor.
var executors = []name[Executor]{
	{"shell", Shell},
	{"slurm", Slurm},
	{"sbatch", Slurm},
	{"flux", Flux},
	{"pbs", PBS},
	{"lsf", LSF},
	{"bsub", LSF},
	{"sge", SGE},
	{"cobalt", Cobalt},
	{"qsub", Cobalt},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *Executor) UnmarshalText(b []byte) error { return pick(e, b, executors) }

// Downscope is how the job's account is reached.
type Downscope string

// The ways to reach the account. There is no fallback between them.
const (
	Setuid Downscope = "setuid" // by the privileges of jacamar-auth itself
	Sudo   Downscope = "sudo"   // by sudo(8)
	None   Downscope = "none"   // not at all: jobs run as the service account
)

var downscopes = []name[Downscope]{{"setuid", Setuid}, {"sudo", Sudo}, {"none", None}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Downscope) UnmarshalText(b []byte) error { return pick(d, b, downscopes) }

// AccountSource is where the name of the local account comes from.
type AccountSource string

// The sources of the account's name.
const (
	UserLogin AccountSource = "user_login" // the GitLab login
	ExternUID AccountSource = "extern_uid" // the identity that account_provider knows
	Map       AccountSource = "map"        // the file account_map, by GitLab user id
)

var accountSources = []name[AccountSource]{{"user_login", UserLogin}, {"extern_uid", ExternUID}, {"map", Map}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *AccountSource) UnmarshalText(b []byte) error { return pick(a, b, accountSources) }

// LogLevel is the least important record that is kept.
type LogLevel string

// The levels of the operator's log.
const (
	Debug   LogLevel = "debug"
	Info    LogLevel = "info"
	Warning LogLevel = "warning"
	Error   LogLevel = "error"
)

var logLevels = []name[LogLevel]{{"debug", Debug}, {"info", Info}, {"warning", Warning}, {"warn", Warning}, {"error", Error}}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LogLevel) UnmarshalText(b []byte) error { return pick(l, b, logLevels) }

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

// name is one spelling of a value.
type name[T ~string] struct {
	text  string
	value T
}

func pick[T ~string](to *T, text []byte, from []name[T]) error {
	known := make([]string, 0, len(from))
	for _, n := range from {
		if n.text == string(text) {
			*to = n.value
			return nil
		}
		known = append(known, fmt.Sprintf("%q", n.text))
	}
	return fmt.Errorf("%q is not known: write %s or %s", job.Clip(string(text)),
		strings.Join(known[:len(known)-1], ", "), known[len(known)-1])
}
