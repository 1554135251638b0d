package scheduler

import (
	"testing"
	"time"
)

func TestResolveQueries(t *testing.T) {
	exit := Exit{Known: true, Code: 3}
	missing := State{Missing: true}
	tests := []struct {
		name   string
		states []State
		want   State
		ran    int
	}{
		{"shown by the first", []State{{Phase: Running}, {Phase: Done}}, State{Phase: Running}, 1},
		{"shown by the second", []State{missing, {Phase: Done, Exit: exit}, {}}, State{Phase: Done, Exit: exit}, 2},
		{"shown by the last", []State{missing, missing, {Phase: Done, Exit: exit}}, State{Phase: Done, Exit: exit}, 3},
		{"missing from all", []State{missing, missing}, missing, 2},
		{"the second fails", []State{missing, {}}, State{}, 2},
		{"the first fails", []State{{}, missing}, State{}, 2},
		{
			"done, and the next has the exit status",
			[]State{{Phase: Done, Class: TimeLimit, Nodes: "n1"}, {Phase: Done, Exit: exit, By: "1"}},
			State{Phase: Done, Class: TimeLimit, Nodes: "n1", Exit: exit, By: "1"},
			2,
		},
		{"done, without an exit status", []State{{Phase: Done}, missing}, State{Phase: Done}, 2},
		{"two that know when it started", []State{{Phase: Done, Start: time.Unix(1, 0)}, {Phase: Done, Start: time.Unix(2, 0), Exit: exit}}, State{Phase: Done, Start: time.Unix(1, 0), Exit: exit}, 2},
		{"the second knows when it started", []State{{Phase: Done}, {Phase: Done, Start: time.Unix(2, 0), Exit: exit}}, State{Phase: Done, Start: time.Unix(2, 0), Exit: exit}, 2},
		{"done, and an outdated record", []State{{Phase: Done}, {Phase: Running}}, State{Phase: Done}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var queries []Query
			for _, s := range tt.states {
				queries = append(queries, Query{Parse: func(Reply) State { return s }})
			}
			ran := 0
			got := Resolve(queries, func(Command) Reply { ran++; return Reply{} })
			if got != tt.want || ran != tt.ran {
				t.Errorf("%+v after %d queries, want %+v after %d", got, ran, tt.want, tt.ran)
			}
		})
	}
}

func TestFinished(t *testing.T) {
	for state, want := range map[State]bool{
		{}: false, {Missing: true}: true, {Phase: Done}: true, {Phase: Running}: false, {Phase: Running, Missing: true}: false, {Phase: Pending}: false,
	} {
		if got := state.Finished(); got != want {
			t.Errorf("%+v: %v", state, got)
		}
	}
}

func TestWordRunes(t *testing.T) {
	for text, want := range map[string]bool{"a1é_-": true, " .,:/=\"'": false, "\xff": false} {
		for _, r := range text {
			if got := isWordRune(r); got != want {
				t.Errorf("%q: %v", r, got)
			}
		}
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "0": 0, "12": 12, "215876K": 215876 << 10, "1.5M": 3 << 19, "2G": 2 << 30, "1T": 1 << 40,
		"-1K": 0, "K": 0, "1KK": 0, "x": 0, "1Z": 0, "9999999999999P": 0, "NaN": 0,
	} {
		if got := ParseMemory(text); got != want {
			t.Errorf("memory %q: %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]time.Duration{
		"00:04.109": 4109 * time.Millisecond, "01:02:03": 3723 * time.Second, "2-00:00:01": 48*time.Hour + time.Second,
		"": 0, "x": 0, "1": 0, "-1:00": 0, "NaN:1": 0, "1:2:3:4": 0, "999999-00:00:00": 0,
	} {
		if got := ParseClock(text); got != want {
			t.Errorf("clock %q: %v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]int64{"1795193340": 1795193340, "N/A": 0, "None": 0, "-5": 0, "0": 0, "99999999999999": 0} {
		got := ParseUnix(text)
		if got.IsZero() != (want == 0) || (want != 0 && got.Unix() != want) {
			t.Errorf("unix %q: %v, want %d", text, got, want)
		}
	}
}

func TestEfficiency(t *testing.T) {
	if part, ok := (Usage{Elapsed: 10 * time.Second, CPU: 5 * time.Second, CPUs: 2}).Efficiency(); !ok || part != 0.25 {
		t.Errorf("%v %v, want 0.25", part, ok)
	}
	for _, u := range []Usage{{}, {CPU: 1, CPUs: 1}, {Elapsed: 1, CPUs: 1}, {Elapsed: 1, CPU: 1}} {
		if part, ok := u.Efficiency(); ok {
			t.Errorf("%+v: %v, want unknown", u, part)
		}
	}
}
