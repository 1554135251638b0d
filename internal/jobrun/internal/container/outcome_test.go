package container

import (
	"errors"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

// engine is an engine of which only the name and the faults count.
type engine struct{ Engine }

func (engine) Name() string { return "engine" }

func (engine) Fault(code int) failure.Kind {
	if code == 126 {
		return failure.Build
	}
	return failure.System
}

func TestOutcome(t *testing.T) {
	for _, tt := range []struct {
		marks     string
		code      int
		signalled bool
		kind      failure.Kind
		script    int // the script's code, 0 for none
		text      string
	}{
		{"cse0\n", 0, false, failure.System, 0, ""},
		{"cse0\n", 1, false, failure.System, 0, ""}, // an engine that fails after the script
		{"cse42\n", 42, false, failure.Build, 42, "exit code 42"},
		{"cse125\n", 125, false, failure.Build, 125, "exit code 125"},
		{"cse137\n", 1, false, failure.Build, 137, "exit code 137"}, // an engine with its own code
		{"cse7\n", 0, false, failure.Build, 7, "exit code 7"},       // an entrypoint that hides the code
		{"c", 127, false, failure.Build, 0, "no shell"},
		{"cs", 0, false, failure.Build, 0, "before the job's script"},
		{"cs", 137, false, failure.System, 0, "was killed"},
		{"cs", 137, true, failure.System, 0, "was killed"},
		{"", 0, false, failure.Build, 0, "without starting"},
		{"", 126, false, failure.Build, 0, "cannot start the job's script"},
		{"", 125, false, failure.System, 0, "failed to start"},
		{"", 137, true, failure.System, 0, "was killed"},
	} {
		err := Outcome(engine{}, ParseMarks(tt.marks), tt.code, tt.signalled)
		if tt.text == "" {
			if err != nil {
				t.Errorf("%q, %d: %v", tt.marks, tt.code, err)
			}
			continue
		}
		code, _ := failure.ScriptCode(err)
		if err == nil || failure.KindOf(err) != tt.kind || code != tt.script || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%q, %d: %v (%v, %d)", tt.marks, tt.code, err, failure.KindOf(err), code)
		}
	}
}

func TestVersion(t *testing.T) {
	for output, want := range map[string]string{"podman version 4.3.1\n": "4.3.1", "0.31\n": "0.31", "none": "", "": "", "apptainer version 1.3.2-1.el9": "1.3.2-1.el9"} {
		if got := Version(output); got != want {
			t.Errorf("%q: %q", output, got)
		}
	}
}

// TestExplainDash: only a script's exit code by which dash reports a script that it cannot
// read has the hint.
func TestExplainDash(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("unclassified"), false},
		{failure.Exit(1), false},
		{failure.Exit(2), true},
		{failure.Exit(127), true},
		{&failure.Error{Kind: failure.System, Code: 2}, false},
	} {
		got := ExplainDash(tt.err)
		_, hint := failure.ForUser(got, true, "")
		if hinted := strings.Contains(hint, "FF_POSIXLY_CORRECT_ESCAPES"); hinted != tt.want || failure.KindOf(got) != failure.KindOf(tt.err) {
			t.Errorf("%v: %v, hint %q", tt.err, got, hint)
		}
	}
}

// A script of the runner's that ran ends with its own code; one that did not start is a
// failure of the site's image.
func TestExplainRunner(t *testing.T) {
	for marks, tt := range map[string]struct {
		code int
		kind failure.Kind
		text string
	}{
		"cse0\n":   {0, 0, ""},
		"cse128\n": {128, failure.Build, "exit code 128"},
		"":         {0, failure.System, "cannot run a script of GitLab Runner in its container: the image's entrypoint ended"},
		"c":        {127, failure.System, "no shell"},
		"cs":       {3, failure.System, "before the job's script"},
	} {
		p := ParseMarks(marks)
		err := ExplainRunner(engine{}, p, Outcome(engine{}, p, tt.code, false))
		if tt.text == "" && err != nil || tt.text != "" && (err == nil || failure.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text)) {
			t.Errorf("%q: %v", marks, err)
		}
	}
}
