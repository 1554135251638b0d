package crash

import (
	"errors"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

func TestRecovered(t *testing.T) {
	var none []int
	for name, tt := range map[string]struct {
		f           func() error
		value, line string
	}{
		"a value":  {func() error { panic("a value") }, "a value", "panic: a value, at jacamar-ci/internal/crash.TestRecovered"},
		"a fault":  {func() error { return errors.New(strings.Repeat("x", none[1])) }, "index out of range", "at jacamar-ci/internal/crash.TestRecovered"},
		"an error": {func() error { panic(errors.New("an error")) }, "an error", "panic: an error, at "},
	} {
		err := Recovered(tt.f)
		p := (*Error)(nil)
		if !errors.As(err, &p) || failure.KindOf(err) != failure.System || failure.HasPublicText(err) {
			t.Fatalf("%s: %v", name, err)
		}
		if !strings.Contains(p.Line(), tt.line) || strings.Contains(p.Line(), "\n") || !strings.Contains(p.Line(), tt.value) {
			t.Errorf("%s: the line is %q", name, p.Line())
		}
		if !strings.Contains(err.Error(), "crash_test.go") || len(p.Stack) > maxStack {
			t.Errorf("%s: the stack is %q", name, p.Stack)
		}
		line, _ := failure.ForUser(err, false, "job 1")
		if line != "this CI resource could not run the job" {
			t.Errorf("%s: the user reads %q", name, line)
		}
	}
}

func TestRecoveredPassesErrorsOn(t *testing.T) {
	want := errors.New("refused")
	if err := Recovered(func() error { return want }); err != want {
		t.Errorf("%v", err)
	}
	if err := Recovered(func() error { return nil }); err != nil {
		t.Errorf("%v", err)
	}
}

func TestUnrecoverablePanicsOn(t *testing.T) {
	defer func() {
		if u, ok := recover().(Unrecoverable); !ok || u.Error() != "ids" {
			t.Errorf("recovered %v", u)
		}
	}()
	_ = Recovered(func() error { panic(Unrecoverable{errors.New("ids")}) })
	t.Error("it went on")
}
