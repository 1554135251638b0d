package check

import (
	"encoding/json"
	"errors"
	"slices"
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
	if err := sample().WriteText(&b, Style{}); err != nil {
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
	if sample().WriteText(full{}, Style{}) == nil || sample().WriteJSON(full{}) == nil {
		t.Error("a report that cannot be printed looks printed")
	}
}

// TestIDs: monitors key on these, so that a change here is one of the interface.
func TestIDs(t *testing.T) {
	var ids []string
	names := map[string]bool{}
	for _, c := range checks {
		if names[c.name] || c.name == "" || c.run == nil || c.id != strings.ToLower(c.id) || strings.ContainsAny(c.id, " /") {
			t.Errorf("%q %q", c.id, c.name)
		}
		names[c.name] = true
		ids = append(ids, c.id)
	}
	slices.Sort(ids)
	for _, want := range []string{
		"account", "account-map", "ca-file", "configuration", "containers", "data-directory", "helper-account", "jacamar", "jacamar-auth", "jacamar-keys", "journal", "key-server", "limits", "lists", "log", "logins",
		"name-service", "privileges", "proc", "processors", "runas", "runner", "scheduler", "selinux", "shadow", "shells", "state-directory", "trial", "user-namespace", "view",
	} {
		if !slices.Contains(ids, want) {
			t.Errorf("no check has the id %s any more", want)
		}
	}
	if len(slices.Compact(ids)) != len(checks) {
		t.Errorf("two checks have one id: %v", ids)
	}
}

func TestStyles(t *testing.T) {
	env := func(pairs ...string) []string { return pairs }
	for name, tc := range map[string]struct {
		width int
		env   []string
		want  Style
	}{
		"a file":          {0, env("TERM=xterm", "LANG=C.UTF-8"), Style{}},
		"a terminal":      {80, env("TERM=xterm", "LANG=C.UTF-8"), Style{80, true, true}},
		"ASCII":           {80, env("TERM=xterm", "LANG=C"), Style{80, true, false}},
		"LC_ALL wins":     {80, env("TERM=xterm", "LC_ALL=C", "LANG=C.UTF-8"), Style{80, true, false}},
		"without colours": {80, env("TERM=xterm", "NO_COLOR=1", "LANG=de_DE.utf8"), Style{80, false, true}},
		"a dumb terminal": {80, env("TERM=dumb"), Style{80, false, false}},
		"an unknown one":  {80, env(), Style{80, false, false}},
	} {
		if got := StyleOf(tc.width, tc.env); got != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestTerminal: colours, signs and hanging indents.
func TestTerminal(t *testing.T) {
	r := Report{Result: Fail, Lines: []Line{
		{Check: "a", Result: OK, Text: "all is well"},
		{Check: "key server", Result: Fail, Text: strings.Repeat("word ", 9) + "end", Fix: "run: some command that is longer than a line"},
		{Check: "b", Result: Skip, Text: "left out"},
	}}
	var b strings.Builder
	if err := r.WriteText(&b, Style{Width: 52, Colour: true, Signs: true}); err != nil {
		t.Fatal(err)
	}
	want := strings.Join([]string{
		"\x1b[32m✔ ok  \x1b[0m  a           all is well",
		"\x1b[31m✘ fail\x1b[0m  key server  word word word word word word",
		"                    word word word end",
		"                    fix: run: some command that is",
		"                         longer than a line",
		"\x1b[2m- skip\x1b[0m  b           left out",
		"fail: 1 fail, 0 warn, 1 ok", "",
	}, "\n")
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

// FuzzBroken: a broken text has the same words in the same order, and no line is longer
// than the width unless a word is.
func FuzzBroken(f *testing.F) {
	f.Add("one two three", 30, 4)
	f.Fuzz(func(t *testing.T, text string, width, indent int) {
		if width < 0 || width > 200 || indent < 0 || indent > 100 || strings.Contains(text, "\n") {
			t.Skip()
		}
		got := Style{Width: width}.broken(text, indent)
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(text), " ") {
			t.Errorf("%q became %q", text, got)
		}
		for line := range strings.SplitSeq(got, "\n") {
			if n := len([]rune(strings.TrimSpace(line))); width-indent >= leastText && n > width-indent && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "  ") {
				t.Errorf("%d columns in %q", n, line)
			}
		}
	})
}
