package ipc

import (
	"encoding/json"
	"errors"
	"fmt"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Result is how jacamar's stage ended. The user's side writes it, so it is
// believed about the user's own job and about nothing else.
type Result struct {
	// Failed is false for success; then only Dirs means anything.
	Failed bool   `json:"failed,omitempty"`
	Build  bool   `json:"build,omitempty"`
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	Hint   string `json:"hint,omitempty"`
	// Private keeps the reason for the operator: it is not in words for a user.
	Private bool `json:"private,omitempty"`
	// Dirs are set by the config stage.
	Dirs Dirs `json:"dirs,omitzero"`
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
	code, _ := failure.ScriptCode(err)
	return Result{
		Failed: true, Build: failure.KindOf(err) == failure.Build, Code: code,
		Reason: job.Shorten(line, reasonLength), Hint: job.Shorten(hint, reasonLength), Private: !failure.HasPublicText(err),
	}
}

// Err turns the result back into the failure it stands for, nil for success.
func (r Result) Err() error {
	if !r.Failed {
		return nil
	}
	kind := failure.System
	if r.Build {
		kind = failure.Build
	}
	if r.Private {
		return &failure.Error{Kind: kind, Code: r.Code, Cause: errors.New(r.Reason)}
	}
	return &failure.Error{Kind: kind, Code: r.Code, Public: r.Reason, Hint: r.Hint}
}

func decodeResult(b []byte) (Result, error) {
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		return Result{}, fmt.Errorf("cannot read jacamar's result: %w", err)
	}
	if r.Code < 0 || r.Code > 255 || (r.Code != 0 && !r.Build) {
		return Result{}, fmt.Errorf("cannot read jacamar's result: exit code %d", r.Code)
	}
	if r.Failed && r.Reason == "" {
		return Result{}, fmt.Errorf("cannot read jacamar's result: a failure without reason")
	}
	r.Left = bounded(r.Left)
	return r, nil
}
