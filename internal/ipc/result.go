package ipc

import (
	"errors"
	"fmt"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Hello is jacamar's report on itself once it has its request. The user's side writes
// it: it serves to end that very process as its own account, and to count the account's
// processes, and nothing else.
type Hello struct {
	PID int `json:"pid"`
	// Processes is the limit on the account's processes and threads, RLIMIT_NPROC in
	// getrlimit(2); 0 where there is none.
	Processes uint64 `json:"processes,omitempty"`
}

func decodeHello(b []byte) (h Hello, err error) {
	if err := decode(b, &h); err != nil {
		return h, fmt.Errorf("cannot read jacamar's hello: %w", err)
	}
	if h.PID <= 1 {
		return h, fmt.Errorf("cannot read jacamar's hello: pid %d", h.PID)
	}
	return h, nil
}

// Result is how jacamar's stage ended. The user's side writes it, so it is trusted
// about the user's own job and about nothing else.
type Result struct {
	// Kind is the name of the failure's kind, "" for success; then only Dirs and Left
	// mean anything. The user's side has two kinds: build, and system for all others.
	Kind   string `json:"kind,omitempty"`
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
	// Private keeps the reason for the operator: it was not written for a user.
	Private bool `json:"private,omitempty"`
	// Dirs are set by the config stage.
	Dirs Dirs `json:"dirs,omitzero"`
	// Made is set where a config stage failed although it has made its directories.
	Made bool `json:"made,omitempty"`
	// Left is what the stage should have removed and could not, at most maxLeft.
	Left []Leftover `json:"left,omitempty"`
}

// Leftover is something of a job that could not be removed.
type Leftover struct {
	Path   string `json:"path"`
	Reason string `json:"reason"` // names the path
}

// maxLeft bounds how many leftovers a result has, and leftoverLength each of their
// texts in bytes: all of them fit in its frame.
const (
	maxLeft        = 8
	leftoverLength = 512
)

// WithMade returns the result of a config stage that has made its directories, or not.
func (r Result) WithMade(made bool) Result {
	r.Made = made && r.Failed()
	return r
}

// WithLeft returns the result with what the stage could not remove.
func (r Result) WithLeft(left []Leftover) Result {
	r.Left = bounded(left)
	return r
}

func bounded(left []Leftover) (all []Leftover) {
	for _, l := range left[:min(len(left), maxLeft)] {
		all = append(all, Leftover{Path: job.Cut(l.Path, leftoverLength), Reason: job.Cut(l.Reason, leftoverLength)})
	}
	return all
}

// reasonLength bounds each text of a result in bytes, without its ellipsis.
const reasonLength = 4 << 10

// ResultOf turns jacamar's outcome into a result.
func ResultOf(err error, dirs Dirs) Result {
	if err == nil {
		return Result{Dirs: dirs}
	}
	line, hint := failure.ForUser(err, true, "")
	kind := failure.System
	if failure.KindOf(err) == failure.Build {
		kind = failure.Build
	}
	code, _ := failure.ScriptCode(err)
	return Result{
		Kind: kind.String(), Code: code,
		Reason: job.Shorten(line, reasonLength), Hint: job.Shorten(hint, reasonLength), Private: !failure.HasPublicText(err),
	}
}

// Failed reports whether the stage failed.
func (r Result) Failed() bool { return r.Kind != "" }

// Err turns the result back into the failure it stands for, nil for success.
func (r Result) Err() error {
	if !r.Failed() {
		return nil
	}
	e := &failure.Error{Kind: failure.System, Code: r.Code, Public: r.Reason, Hint: r.Hint}
	if r.Kind == failure.Build.String() {
		e.Kind = failure.Build
	}
	if r.Private {
		e.Public, e.Hint, e.Cause = "", "", errors.New(r.Reason)
	}
	return e
}

func decodeResult(b []byte) (Result, error) {
	var r Result
	if err := decode(b, &r); err != nil {
		return Result{}, fmt.Errorf("cannot read jacamar's result: %w", err)
	}
	switch {
	case r.Failed() && r.Kind != failure.Build.String() && r.Kind != failure.System.String():
		return Result{}, fmt.Errorf("cannot read jacamar's result: kind %q", job.Clip(r.Kind))
	case r.Code < 0 || r.Code > 255 || (r.Code != 0 && r.Kind != failure.Build.String()):
		return Result{}, fmt.Errorf("cannot read jacamar's result: exit code %d", r.Code)
	case r.Failed() && r.Reason == "":
		return Result{}, fmt.Errorf("cannot read jacamar's result: a failure without reason")
	}
	r.Left = bounded(r.Left)
	return r, nil
}
