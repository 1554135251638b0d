package auditlog

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"jacamar-ci/internal/job"
)

// memory stores the output of a log.
type memory struct {
	strings.Builder
	fail   error
	closed bool
	opened int
}

func (m *memory) Close() error { m.closed = true; return nil }

func (m *memory) Write(p []byte) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return m.Builder.Write(p)
}

func (m *memory) place() Destination {
	p := File(nil)
	p.open = func() (io.WriteCloser, error) { m.opened++; return m, nil }
	return p
}

func logTo(t *testing.T, m *memory, level string) Log {
	t.Helper()
	l, err := New(Settings{Level: level, Instance: "cluster-a", Destination: m.place()})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func alice(t *testing.T) *job.Account {
	t.Helper()
	name, err := job.ParseUsername("alice")
	if err != nil {
		t.Fatal(err)
	}
	return &job.Account{Name: name, UID: 1001}
}

// records decodes every line, without its time and its sequence fields.
func records(t *testing.T, text string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(text) {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, err := time.Parse(time.RFC3339Nano, r["time"].(string)); err != nil {
			t.Error(err)
		}
		for _, key := range []string{"time", "seq", "call", "call_seq"} {
			delete(r, key)
		}
		all = append(all, r)
	}
	return all
}

func TestRecords(t *testing.T) {
	whole := Subject{
		Stage: job.Run, SubStage: job.BuildScript, Job: 11, Pipeline: 12, Project: "group/project", ProjectID: 13, Login: "alice.gl",
		UserID: 14, Runner: 15, TokenID: "0123456789abcdef", Account: alice(t),
	}
	known := map[string]any{
		"name": "cluster-a", "stage": "run", "sub_stage": "build_script", "job": 11.0, "pipeline": 12.0, "project": "group/project",
		"project_id": 13.0, "login": "alice.gl", "user_id": 14.0, "runner": 15.0, "jti": "01234567", "account": "alice", "uid": 1001.0,
	}
	with := func(more map[string]any) map[string]any {
		for k, v := range known {
			more[k] = v
		}
		return more
	}
	for name, tc := range map[string]struct {
		write func(Log)
		want  map[string]any
	}{
		"allow": {
			func(l Log) { l.Decided(whole, Verdict{true, "user_allowlist", "alice is in the list"}) },
			with(map[string]any{"level": "info", "event": "decision", "msg": "allow by user_allowlist", "decision": "allow", "rule": "user_allowlist", "reason": "alice is in the list"}),
		},
		"deny": {
			func(l Log) { l.Decided(whole, Verdict{false, "root", "no"}) },
			with(map[string]any{"level": "warning", "event": "decision", "msg": "deny by root", "decision": "deny", "rule": "root", "reason": "no"}),
		},
		"end": {
			func(l Log) { l.Ended(whole, End{Exit: "ok", Duration: 1234567 * time.Microsecond}) },
			with(map[string]any{"level": "info", "event": "stage_end", "msg": "stage ended: ok", "exit": "ok", "duration": 1.235}),
		},
		"script failed": {
			func(l Log) { l.Ended(whole, End{Exit: "build", Code: 7, Reason: "x"}) },
			with(map[string]any{"level": "info", "event": "stage_end", "msg": "stage ended: build", "exit": "build", "exit_code": 7.0, "duration": 0.0, "reason": "x"}),
		},
		"resource failed": {
			func(l Log) { l.Ended(whole, End{Exit: "system", Reason: "x"}) },
			with(map[string]any{"level": "error", "event": "stage_end", "msg": "stage ended: system", "exit": "system", "duration": 0.0, "reason": "x"}),
		},
		"configuration failed": {
			func(l Log) { l.Ended(whole, End{Exit: "config", Reason: "x"}) },
			with(map[string]any{"level": "error", "event": "stage_end", "msg": "stage ended: config", "exit": "config", "duration": 0.0, "reason": "x"}),
		},
		"warning": {
			func(l Log) { l.Warned(whole, errors.New("old keys serve")) },
			with(map[string]any{"level": "warning", "event": "warning", "msg": "warning", "reason": "old keys serve"}),
		},
		"rule": {
			func(l Log) { l.Checked(whole, Rule{"min_uid", "ok", "1001"}) },
			with(map[string]any{"level": "debug", "event": "rule", "msg": "min_uid: ok", "rule": "min_uid", "outcome": "ok", "reason": "1001"}),
		},
		"nothing known": {
			func(l Log) { l.Ended(Subject{Stage: job.Config}, End{Exit: "denied"}) },
			map[string]any{"name": "cluster-a", "stage": "config", "level": "info", "event": "stage_end", "msg": "stage ended: denied", "exit": "denied", "duration": 0.0},
		},
		"short token id": {
			func(l Log) { l.Ended(Subject{TokenID: "ab"}, End{Exit: "ok"}) },
			map[string]any{"name": "cluster-a", "jti": "ab", "level": "info", "event": "stage_end", "msg": "stage ended: ok", "exit": "ok", "duration": 0.0},
		},
		"root itself": {
			func(l Log) { l.Decided(Subject{Account: &job.Account{}}, Verdict{}) },
			map[string]any{"name": "cluster-a", "account": "", "uid": 0.0, "level": "warning", "event": "decision", "msg": "deny by ", "decision": "deny"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := &memory{}
			l := logTo(t, m, "debug")
			tc.write(l)
			got := records(t, m.String())
			if len(got) != 1 {
				t.Fatalf("%d records", len(got))
			}
			if diff := cmp.Diff(tc.want, got[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	all := []func(Log){
		func(l Log) { l.Checked(Subject{}, Rule{}) },
		func(l Log) { l.Decided(Subject{}, Verdict{Allowed: true}) },
		func(l Log) { l.Ended(Subject{}, End{Exit: "build"}) },
		func(l Log) { l.Decided(Subject{}, Verdict{}) },
		func(l Log) { l.Warned(Subject{}, errors.New("x")) },
		func(l Log) { l.Ended(Subject{}, End{Exit: "system"}) },
	}
	for level, want := range map[string]int{"debug": 6, "info": 5, "warning": 3, "error": 1} {
		t.Run(level, func(t *testing.T) {
			m := &memory{}
			l := logTo(t, m, level)
			for _, write := range all {
				write(l)
			}
			if got := len(records(t, m.String())); got != want {
				t.Errorf("%d records, want %d", got, want)
			}
		})
	}
	if _, err := New(Settings{Level: "loud"}); err == nil {
		t.Error("a level that does not exist is accepted")
	}
}

func TestHostileText(t *testing.T) {
	nasty := "a\n<0>fake: {\"event\":\"decision\"}\r\x1b[2J\x00\x7f\u009b31m\u202e\u2066\u200b\u2028\ufeff\xff%n"
	m := &memory{}
	l := logTo(t, m, "info")
	l.Decided(Subject{Login: nasty, Project: nasty, TokenID: "\n\n\n\n\n\n\n\n\n"}, Verdict{Rule: nasty, Reason: nasty})
	text := strings.TrimSuffix(m.String(), "\n")
	for _, r := range text {
		if needsEscape(r) || r < ' ' {
			t.Errorf("%U stands in the record", r)
		}
	}
	got := records(t, text)[0]
	// Nothing is lost except the invalid byte.
	if want := strings.ReplaceAll(nasty, "\xff", "\ufffd"); got["login"] != want || got["reason"] != want {
		t.Errorf("got %q, want %q", got["login"], want)
	}
}

func TestLostRecordIsReportedOnce(t *testing.T) {
	boom := errors.New("boom")
	for name, place := range map[string]Destination{
		"cannot be opened":  {open: func() (io.WriteCloser, error) { return nil, boom }, frame: File(nil).frame},
		"cannot be written": (&memory{fail: boom}).place(),
		"file":              File(func() (*os.File, error) { return nil, boom }),
	} {
		t.Run(name, func(t *testing.T) {
			var reported []error
			l, err := New(Settings{Level: "info", Destination: place, Lost: func(err error) { reported = append(reported, err) }})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				l.Ended(Subject{}, End{Exit: "ok"})
			}
			l.Close()
			if len(reported) != 1 || !errors.Is(reported[0], boom) {
				t.Errorf("reported %v", reported)
			}
		})
	}
}

func TestWriteTest(t *testing.T) {
	m := &memory{}
	l := logTo(t, m, "error")
	if err := l.WriteTest(); err != nil || len(records(t, m.String())) != 1 {
		t.Errorf("%v, wrote %q", err, m.String())
	}
	bad := logTo(t, &memory{fail: errors.New("boom")}, "error")
	if err := bad.WriteTest(); err == nil {
		t.Error("a failure is not reported")
	}
	if err := (Log{}).WriteTest(); err != nil {
		t.Error(err)
	}
}

func TestOpensAtFirstRecord(t *testing.T) {
	m := &memory{}
	l := logTo(t, m, "error")
	l.Ended(Subject{}, End{Exit: "ok"})
	l.Close()
	if m.opened != 0 || m.closed {
		t.Errorf("opened %d times", m.opened)
	}
	l.Ended(Subject{}, End{Exit: "system"})
	l.Ended(Subject{}, End{Exit: "system"})
	l.Close()
	if m.opened != 1 || !m.closed {
		t.Errorf("opened %d times, closed %v", m.opened, m.closed)
	}
}

func TestDisabled(t *testing.T) {
	var l Log
	if l.logger != nil {
		t.Error("the zero value is enabled")
	}
	s, err := Subject{Account: &job.Account{}}, errors.New("x")
	if n := testing.AllocsPerRun(100, func() {
		l.Decided(s, Verdict{})
		l.Ended(s, End{})
		l.Warned(s, err)
		l.Checked(s, Rule{})
		l.Close()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for range 2 {
		l, err := New(Settings{Level: "info", Destination: File(func() (*os.File, error) {
			return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
		})})
		if err != nil {
			t.Fatal(err)
		}
		l.Ended(Subject{}, End{Exit: "ok"})
		l.Close()
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := records(t, string(b)); len(got) != 2 {
		t.Errorf("%d records", len(got))
	}
}

func TestSeverities(t *testing.T) {
	for level, want := range map[logrus.Level]int{logrus.DebugLevel: 87, logrus.InfoLevel: 86, logrus.WarnLevel: 84, logrus.ErrorLevel: 83} {
		if got := priority(level); got != want {
			t.Errorf("%v: %d, want %d", level, got, want)
		}
	}
}
