package failure

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

var errCause, errOther = errors.New("permission denied"), errors.New("disk full")

// TestTexts: the operator's text contains the cause once; the user's text never
// contains the operator's.
func TestTexts(t *testing.T) {
	const ask, retry = "ask its administrators, quoting job 9", "retry it; if that fails as well, ask its administrators, quoting job 9"
	for name, tc := range map[string]struct {
		err                error
		kind               Kind
		full, public, hint string
	}{
		"system":                               {Systemf("cannot make x"), System, "cannot make x", "cannot make x", ""},
		"system with a cause":                  {Systemf("cannot make x: %w", errCause), System, "cannot make x: permission denied", "cannot make x: permission denied", ""},
		"cause in the middle":                  {Systemf("x: %w (mode 0700)", errCause), System, "x: permission denied (mode 0700)", "x: permission denied (mode 0700)", ""},
		"two causes":                           {Systemf("x: %w, %w", errCause, errOther), System, "x: permission denied, disk full", "x: permission denied, disk full", ""},
		"a cause that ends as the public text": {&Error{Public: "it was denied", Cause: errors.New("denied")}, System, "it was denied: denied", "it was denied", ""},
		"build with a hint":                    {Buildf("no such partition").WithHint("use %q", "short"), Build, "no such partition", "no such partition", `use "short"`},
		"exit":                                 {Exit(7), Build, "the job's script ended with exit code 7", "the job's script ended with exit code 7", ""},
		"denied":                               {Deniedf("root: %w", errCause), Denied, "root: permission denied", "you are not allowed to run CI jobs on this resource", ask},
		"configuration":                        {Configf("line 3"), Config, "line 3", "this CI resource is not set up correctly", ask},
		"private":                              {Privatef("/etc/x: %w", errCause), System, "/etc/x: permission denied", "this CI resource could not run the job", retry},
		"unclassified":                         {errCause, System, "permission denied", "this CI resource could not run the job", retry},
		"wrapped":                              {fmt.Errorf("outer: %w", Deniedf("inner")), Denied, "outer: inner", "you are not allowed to run CI jobs on this resource", ask},
		"public with a cause":                  {Deniedf("rule: %w", errCause).WithPublic("no %s", "way").WithHint("go"), Denied, "rule: permission denied", "no way", "go"},
		"public and a cause":                   {&Error{Public: "no", Cause: errCause}, System, "no: permission denied", "no", ""},
		"denied with own text":                 {&Error{Kind: Denied, Public: "no", Hint: "ask Bob", Cause: errCause}, Denied, "no: permission denied", "no", "ask Bob"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := KindOf(tc.err); got != tc.kind {
				t.Errorf("kind %s", got)
			}
			if got := tc.err.Error(); got != tc.full {
				t.Errorf("full text %q", got)
			}
			if line, hint := ForUser(tc.err, false, "job 9"); line != tc.public || hint != tc.hint {
				t.Errorf("the user reads %q, %q", line, hint)
			}
			if own := tc.hint != ask && tc.hint != retry; HasPublicText(tc.err) != own {
				t.Errorf("has a text for its user: %v", !own)
			}
		})
	}
	if line, _ := ForUser(Deniedf("root"), true, ""); line != "root" {
		t.Errorf("unobfuscated %q", line)
	}
	for _, err := range []error{Systemf("x: %w", errCause), Systemf("x: %w, %w", errOther, errCause), Deniedf("x: %w", errCause)} {
		if !errors.Is(err, errCause) {
			t.Errorf("the cause of %q cannot be found", err)
		}
	}
}

func TestLinesOf(t *testing.T) {
	lines := []string{"a: 1", "b: 2"}
	if got := LinesOf(fmt.Errorf("more: %w", &Error{Kind: Config, Lines: lines})); !slices.Equal(got, lines) {
		t.Errorf("%q", got)
	}
	for _, err := range []error{nil, errors.New("unclassified"), &Error{Kind: Config}} {
		if got := LinesOf(err); got != nil {
			t.Errorf("%v: %q", err, got)
		}
	}
}

func TestStatus(t *testing.T) {
	codes := Codes{Build: 11, System: 22}
	for _, tc := range []struct {
		err        error
		want, code int
	}{
		{nil, 0, 0},
		{Exit(7), 11, 7},
		{Buildf("x"), 11, 0},
		{fmt.Errorf("x: %w", Exit(255)), 11, 255},
		{Systemf("x"), 22, 0},
		{Deniedf("x"), 11, 0},
		{fmt.Errorf("x: %w", &Error{Kind: Denied, Temporary: true}), 22, 0},
		{Configf("x"), 22, 0},
		{Privatef("x"), 22, 0},
		{errCause, 22, 0},
		{&Error{Kind: System, Code: 7}, 22, 0},
	} {
		code, ok := ScriptCode(tc.err)
		if got := codes.Status(tc.err); got != tc.want || code != tc.code || ok != (tc.code != 0) {
			t.Errorf("%v: status %d, code %d", tc.err, got, code)
		}
	}
	if DefaultCodes() != (Codes{1, 2}) {
		t.Error("the defaults are not the runner's")
	}
}

func TestKindNames(t *testing.T) {
	for kind, want := range map[Kind]string{System: "system", Build: "build", Denied: "denied", Config: "config", Kind(9): "system"} {
		if got := kind.String(); got != want {
			t.Errorf("%d: %q", kind, got)
		}
	}
}

func TestCrowded(t *testing.T) {
	for want, f := range map[string]error{
		"no more processes or threads can be started as your account: it has 5, and its limit is 6 (RLIMIT_NPROC, ulimit -u)":                                          Crowded(5, 6, nil),
		"no more processes or threads can be started as your account: its limit is 6 (RLIMIT_NPROC, ulimit -u), or the machine or the runner's service allows no more": Crowded(0, 6, nil),
		"no more processes or threads can be started as your account: it has 12, and the machine or the runner's service allows no more":                               Crowded(12, 96364, nil),
		"no more processes or threads can be started as your account: it has 5, and the machine or the runner's service allows no more":                                Crowded(5, 0, nil),
		"no more processes or threads can be started as your account":                                                                                                  Crowded(0, 0, nil),
	} {
		if line, hint := ForUser(f, false, ""); line != want || hint == "" {
			t.Errorf("%q, %q, want %q", line, hint, want)
		}
	}
}
