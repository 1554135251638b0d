package config

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/settings"
)

// List is an optional list of names. An allowlist that is set and empty allows nothing;
// one that is not set allows all.
type List[T any] struct {
	Set   bool
	Items []T
}

func (l *List[T]) open() any {
	l.Set = true
	return &l.Items
}

// Group is the name of a local group. Directory services allow spaces in it; group(5)
// separates by ":" and ",". A number is refused: getent(1) looks it up as an id.
type Group string

// UnmarshalText implements encoding.TextUnmarshaler.
func (g *Group) UnmarshalText(b []byte) error {
	s := string(b)
	switch {
	case strings.TrimSpace(s) != s || strings.ContainsAny(s, ":,") || job.Printable(s) != s:
		return fmt.Errorf("%q is not a group name", job.Clip(s))
	case strings.Trim(strings.TrimLeft(s, "+-"), "0123456789") == "":
		return fmt.Errorf("%q is a number, not the name of a group", job.Clip(s))
	}
	*g = Group(s)
	return nil
}

// Source is a value of the pipeline_source claim (GitLab: CI_PIPELINE_SOURCE).
type Source string

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Source) UnmarshalText(b []byte) error {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	name := string(b)
	if name == "" || !strings.Contains(letters, name[:1]) || strings.Trim(name, letters+"0123456789_") != "" {
		return fmt.Errorf("%q is not a pipeline source: write it as GitLab does, \"push\" or \"merge_request_event\"", job.Clip(name))
	}
	*s = Source(name)
	return nil
}

// Variable is the name of a CI variable.
type Variable string

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Variable) UnmarshalText(b []byte) error {
	if _, err := job.ParseEnv(string(b) + "="); err != nil || strings.Contains(string(b), "=") {
		return fmt.Errorf("%q is not a variable name", job.Clip(string(b)))
	}
	*v = Variable(b)
	return nil
}

// Proxy is the address of a web proxy; the zero value is none.
type Proxy struct{ u *url.URL }

// URL returns the address, nil for none.
func (p Proxy) URL() *url.URL { return p.u }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Proxy) UnmarshalText(b []byte) (err error) {
	if p.u, err = jwks.ParseProxy(string(b)); err != nil {
		return fmt.Errorf("cannot be used: %w", err)
	}
	return nil
}

// Digest is a SHA-256 sum in lower-case hexadecimal.
type Digest string

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	sum, err := hex.DecodeString(string(b))
	if err != nil || len(sum) != 32 {
		return fmt.Errorf("%q is not a SHA-256 sum: write the 64 digits that sha256sum prints", job.Clip(string(b)))
	}
	*d = Digest(hex.EncodeToString(sum))
	return nil
}

// Message is text for the job log; it may have several lines.
type Message string

// messageLength bounds a message in bytes: it is at the top of every job's log.
const messageLength = 8 << 10

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Message) UnmarshalText(b []byte) error {
	s := string(b)
	if len(s) > messageLength {
		return fmt.Errorf("is longer than %d bytes", messageLength)
	}
	for line := range strings.SplitSeq(s, "\n") {
		if t := strings.ReplaceAll(line, "\t", " "); job.Printable(t) != t {
			return fmt.Errorf("%q has control characters", job.Clip(line))
		}
	}
	*m = Message(s)
	return nil
}

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

// LogName is the operator's log in the state directory, for a site that sets no other
// location, and CounterName the file with the number of its last record, for every
// location.
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
