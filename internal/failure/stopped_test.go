package failure

import (
	"errors"
	"testing"
)

func TestBecause(t *testing.T) {
	for name, tc := range map[string]struct {
		err        error
		line, hint string
	}{
		"a script":     {Stopped(143, ""), "the job was stopped: cancelled", "ask"},
		"its profiles": {Stopped(143, "before").WithHint("look"), "the job was stopped before: cancelled", "look"},
		"the resource": {Systemf("the job was stopped by the runner"), "the job was stopped by the runner: cancelled", "ask"},
		"another end":  {Exit(3), "the job's script ended with exit code 3", ""},
	} {
		got := Because(tc.err, "cancelled", "ask")
		line, hint := ForUser(got, false, "")
		if line != tc.line || hint != tc.hint || got.Error() != tc.line {
			t.Errorf("%s: %q, %q, for the operator %q", name, line, hint, got)
		}
		if KindOf(got) != KindOf(tc.err) {
			t.Errorf("%s: the kind is %v", name, KindOf(got))
		}
		before, _ := ScriptCode(tc.err)
		if code, _ := ScriptCode(got); code != before {
			t.Errorf("%s: the code is %d", name, code)
		}
	}
	if err := errors.New("x"); Because(err, "cancelled", "") != err || Because(nil, "cancelled", "") != nil {
		t.Error("an error without a class was changed")
	}
}
