package auditlog

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

// recordLimit is the longest message of rsyslog without the head of a syslog message,
// in bytes.
const recordLimit = 8<<10 - 256

// everyField writes one record of each kind with the text in every field that
// can have one, and returns the lines.
func everyField(t *testing.T, text string) []string {
	t.Helper()
	m := &memory{}
	l, err := New(Settings{Level: "debug", Instance: text, Destination: m.place(), Call: "1.2"})
	if err != nil {
		t.Fatal(err)
	}
	s := Subject{
		Stage: job.Stage(text), SubStage: job.SubStage(text), Project: text, Login: text, TokenID: text,
		Job: 1 << 62, Pipeline: 1 << 62, ProjectID: 1 << 62, UserID: 1 << 62, Runner: 1 << 62, Account: alice(t),
	}
	l.Decided(s, Verdict{Rule: text, Reason: text})
	l.Ended(s, End{Exit: "system", Reason: text})
	l.JobEnded(s, JobEnd{
		End: End{Exit: "system", Reason: text, Duration: 1}, Rule: text, Executor: text, Failed: text, Scheduler: text, BatchID: text, Node: text,
		Stages: 1 << 62, Memory: 1 << 62, CPU: 1 << 62, Waited: 1 << 62,
	})
	l.Warned(s, errors.New(text))
	l.Checked(s, Rule{Name: text, Outcome: text, Reason: text})
	return strings.SplitAfter(strings.TrimSuffix(m.String(), "\n"), "\n")
}

// stayRecords verifies that with a text in any field each record is one line of JSON
// that a log server accepts whole, and that the text is in it.
func stayRecords(t *testing.T, text string) {
	t.Helper()
	lines := everyField(t, text)
	if len(lines) != 5 {
		t.Fatalf("%q makes %d lines of 5 records", text, len(lines))
	}
	for _, line := range lines {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q makes the record %q: %v", text, line, err)
		}
		if len(line) > recordLimit {
			t.Fatalf("%.40q… makes a record of %d bytes", text, len(line))
		}
		for _, c := range strings.TrimSuffix(line, "\n") {
			if c < ' ' || needsEscape(c) || c == utf8.RuneError && !strings.Contains(text, "\ufffd") {
				t.Fatalf("%q: %U stands in the record %q", text, c, line)
			}
		}
		got, _ := r["login"].(string)
		kept, marked := strings.TrimSuffix(got, "…"), bounded(text) != text
		want := strings.ToValidUTF8(text, "\ufffd")
		if whole := strings.Join(strings.Split(got, "\ufffd"), ""); text != "" && !marked && whole != strings.ReplaceAll(want, "\ufffd", "") {
			t.Fatalf("%q is recorded as %q", text, got)
		}
		size := 0
		for _, r := range kept {
			size += escapedLength(r)
		}
		if marked && (size > maxText || size <= maxText-longestEscape) {
			t.Fatalf("%.40q… keeps %d bytes of %d", text, size, maxText)
		}
	}
}

// pieces are the parts of random texts: characters that JSON, syslog and terminals
// interpret, and invalid bytes.
var pieces = []string{
	"a", "é", "€", "😀", "\"", "\\", "\n", "\r", "\t", "\x00", "\x01", "\x1b[2J", "\x7f", "\u0085", "\u009b", "\u200b", "\u2028", "\u202e", "\u2066",
	"\ufeff", "\u061c", "\ufffd", "\xff", "\xc3", "\xf0\x9f", "\xed\xa0\x80", "<0>", "jacamar-auth[1]: {", "}", "\\u0000", "&", "\U000e0001", "…",
}

// TestAnyTextStaysOneRecord tries random texts, short and far too long.
func TestAnyTextStaysOneRecord(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		var b strings.Builder
		for range 1 + r.IntN(1<<r.IntN(13)) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		stayRecords(t, b.String())
	}
	for _, p := range pieces {
		stayRecords(t, strings.Repeat(p, 1<<20/len(p)))
	}
}

func FuzzRecord(f *testing.F) {
	for _, p := range pieces {
		f.Add(p + p)
	}
	f.Add(strings.Join(pieces, ""))
	f.Fuzz(stayRecords)
}

// TestEscapedSizes writes every relevant character and compares its size in the record
// with escapedLength.
func TestEscapedSizes(t *testing.T) {
	for r := range rune(0x10000) {
		if r >= 0xd800 && r < 0xe000 {
			continue // surrogates, which are not valid in text
		}
		if r == utf8.RuneError {
			continue // stands for a byte that is no text, too, which takes more
		}
		if r == 0x3000 {
			r += 0xb000 // skip ordinary letters
		}
		m := &memory{}
		l, err := New(Settings{Level: "info", Destination: m.place()})
		if err != nil {
			t.Fatal(err)
		}
		l.Ended(Subject{Login: "<" + string(r) + ">"}, End{})
		_, rest, _ := strings.Cut(m.String(), `"login":"<`)
		in, _, ok := strings.Cut(rest, `>"`)
		if !ok || len(in) != escapedLength(r) {
			t.Errorf("%U stands in the record as %q, and %d bytes are reckoned for it", r, in, escapedLength(r))
		}
	}
}

// TestEndOfAJob: its level is that of the failure, its stage is that of the job, and
// unknown values are omitted.
func TestEndOfAJob(t *testing.T) {
	for exit, want := range map[string]string{
		"ok": "info", "build": "info", "denied": "warning", "system": "error", "config": "error", "": "info",
	} {
		m := &memory{}
		l, err := New(Settings{Level: "debug", Destination: m.place()})
		if err != nil {
			t.Fatal(err)
		}
		l.JobEnded(Subject{Stage: job.Cleanup, SubStage: "x", Job: 7}, JobEnd{End: End{Exit: exit}, Failed: "build_script", CPU: 1500 * time.Millisecond, Node: "n1"})
		var r map[string]any
		if err := json.Unmarshal([]byte(m.String()), &r); err != nil {
			t.Fatal(err)
		}
		_, hasExit := r["exit"]
		_, hasWait := r["waited"]
		_, hasStage := r["stage"]
		if r["level"] != want || r["event"] != "job_end" || r["cpu"] != 1.5 || r["node"] != "n1" || r["failed_stage"] != "build_script" || hasExit != (exit != "") || hasWait || hasStage {
			t.Errorf("%q: %s", exit, m)
		}
	}
}
