package check

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWorst(t *testing.T) {
	for name, tc := range map[string]struct {
		lines  []Line
		want   Result
		status int
	}{
		"all well":        {[]Line{ok("x"), ok("y")}, OK, 0},
		"a warning":       {[]Line{ok("x"), warn("m", "y"), ok("z")}, Warn, 1},
		"a failure":       {[]Line{warn("m", "y"), fail("m", "x"), ok("z")}, Fail, 2},
		"nothing checked": {nil, Fail, 2},
	} {
		t.Run(name, func(t *testing.T) {
			r := Report{Result: worst(tc.lines)}
			if r.Result != tc.want || r.Status() != tc.status {
				t.Errorf("%s, status %d", r.Result, r.Status())
			}
		})
	}
}

func sample() Report {
	lines := []Line{ok("all is well"), warn("do this", "hm <%s>", "a\n\x1b[2Jb"), fail("do that", "no")}
	for i, name := range []string{"a", "longer name", "c"} {
		lines[i].Check = name
	}
	return Report{Configuration: "/etc/x.toml", Name: "cluster-a", Result: worst(lines), Lines: lines}
}

func TestText(t *testing.T) {
	var b strings.Builder
	if err := sample().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"ok    a            all is well",
		"warn  longer name  hm <a??[2Jb>",
		"                   fix: do this",
		"fail  c            no",
		"                   fix: do that",
		"fail: 1 fail, 1 warn, 1 ok", "",
	}, "\n")
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	if err := sample().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a control character is in the JSON text")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPrintingCanFail(t *testing.T) {
	if sample().WriteText(full{}) == nil || sample().WriteJSON(full{}) == nil {
		t.Error("a report that cannot be printed looks printed")
	}
}

func TestChecksHaveDistinctNames(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checks {
		if seen[c.name] || c.name == "" || c.run == nil {
			t.Errorf("%q", c.name)
		}
		seen[c.name] = true
	}
}
