package scheduler

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"jacamar-ci/internal/job"
)

func TestMessageOf(t *testing.T) {
	for name, tt := range map[string]struct {
		reply Reply
		lead  string
		lines []string
	}{
		"nothing":              {Reply{}, "", nil},
		"only decoration":      {Reply{Stderr: "\n*****\n-- --\n"}, "", nil},
		"one line":             {Reply{Stderr: "qsub: Unknown queue\n"}, "qsub: Unknown queue", []string{"qsub: Unknown queue"}},
		"a name and a level":   {Reply{Stderr: "sbatch: error: no\n"}, "no", []string{"sbatch: error: no"}},
		"another prefix":       {Reply{Stderr: "my project: error: no\n"}, "my project: error: no", []string{"my project: error: no"}},
		"a general last line":  {Reply{Stderr: "pay first\nsbatch: error: Batch job submission failed: Unspecified error\n"}, "pay first", []string{"pay first", "sbatch: error: Batch job submission failed: Unspecified error"}},
		"only a general line":  {Reply{Stderr: "sbatch: error: Batch job submission failed: Unspecified error\n"}, "Batch job submission failed: Unspecified error", []string{"sbatch: error: Batch job submission failed: Unspecified error"}},
		"a reason on stdout":   {Reply{Stdout: "choose a project\n", Stderr: "Request aborted by esub. Job not submitted.\n"}, "choose a project", []string{"choose a project", "Request aborted by esub. Job not submitted."}},
		"stdout alone":         {Reply{Stdout: "choose a project\n"}, "choose a project", []string{"choose a project"}},
		"both outputs":         {Reply{Stdout: "Welcome\n", Stderr: "qsub: no\n"}, "qsub: no", []string{"qsub: no"}},
		"a usage text":         {Reply{Stderr: "x: bad -Y\nusage: x [-a b]\n\t[-c d]\n  x --version\nsee x(1)\n"}, "see x(1)", []string{"x: bad -Y", "see x(1)"}},
		"the end of Grid Eng.": {Reply{Stderr: "Unable to run job: no.\nExiting.\n"}, "Unable to run job: no.", []string{"Unable to run job: no."}},
		"a frame":              {Reply{Stderr: "** Hello **\n# You #\n| me |\n- a list -- of one\n"}, "- a list -- of one", []string{"- a list -- of one"}},
		"colours and a title":  {Reply{Stderr: "\x1b[1;31mred\x1b[0m \x1b]0;title\x07and\x1b(B more\n"}, "red and more", []string{"red and more"}},
		"a folded section":     {Reply{Stderr: "section_start:1:x\r\x1b[0Ktitle\n"}, "title", []string{"section_start:1:x", "title"}},
		"a progress line":      {Reply{Stderr: "10 %\r20 %\r\nno\r\n"}, "no", []string{"10 %", "20 %", "no"}},
		"controls and Latin-1": {Reply{Stderr: "a\x00b\x08c\xe9d\te\u202ef\n"}, "a?b?c?d ef", []string{"a?b?c?d ef"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := MessageOf(tt.reply)
			if got.Lead != tt.lead || !slices.Equal(got.Lines, tt.lines) {
				t.Errorf("%q, %q", got.Lead, got.Lines)
			}
		})
	}
}

// The end of a long text is kept, and the lead.
func TestMessageIsBounded(t *testing.T) {
	many := MessageOf(Reply{Stderr: strings.Repeat("line\n", 100) + "last\n"})
	if n := len(many.Lines); n > maxMessageLines || n < maxMessageLines-3 || many.Lines[0] != "[…]" || many.Lines[n-1] != "last" {
		t.Errorf("%q", many.Lines)
	}
	far := MessageOf(Reply{Stderr: "the reason\n" + strings.Repeat("sbatch: error: Batch job submission failed: Unspecified error\n", 100)})
	if len(far.Lines) > maxMessageLines || far.Lead != "the reason" || !slices.Contains(far.Lines, "the reason") {
		t.Errorf("%q", far.Lines)
	}
	long := MessageOf(Reply{Stderr: strings.Repeat(strings.Repeat("é", 3000)+"\n", 10)})
	if size := len(strings.Join(long.Lines, "\n")); size > maxMessageBytes || !utf8.ValidString(long.Lead) || len(long.Lead) > maxMessageLine {
		t.Errorf("%d bytes, %q", size, long.Lead)
	}
}

// A message is a limited number of printable lines for any output, and not empty when
// the output contains letters or digits.
func FuzzMessageOf(f *testing.F) {
	for _, seed := range []string{"sbatch: error: no\n", "\x1b[31mx\x1b[0m", "usage: x\n y", strings.Repeat("a\n", 50), strings.Repeat("é", 5000), "* a *\r\nb"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, stderr, stdout string) {
		s := MessageOf(Reply{Stderr: stderr, Stdout: stdout})
		if len(s.Lines) > maxMessageLines || len(strings.Join(s.Lines, "\n")) > maxMessageBytes {
			t.Errorf("%d lines", len(s.Lines))
		}
		for _, line := range append(s.Lines, s.Lead) {
			if job.Printable(line) != line || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
				t.Errorf("%q", line)
			}
		}
		if (s.Lead == "") != (len(s.Lines) == 0) || s.Lead != "" && !slices.ContainsFunc(s.Lines, func(l string) bool { return strings.HasSuffix(l, s.Lead) }) {
			t.Errorf("lead %q of %q", s.Lead, s.Lines)
		}
	})
}

func TestNamedArguments(t *testing.T) {
	arg := func(name, flag, value string, words ...string) Argument {
		return Argument{Name: name, Flag: flag, Value: value, Words: words}
	}
	args := []Argument{
		arg("partition", "--partition", "nowhere", "-p", "nowhere"), arg("account", "--account", "phys", "--acc=phys"),
		arg("nodes", "--nodes", "2", "-N2"), arg("exclusive", "--exclusive", "user", "--exclusive=user"),
		arg("Z", "-Z", "quick", "-Zquick"), arg("comment", "--comment", "ab", "--comment=ab"), arg("pe", "-pe", "smp 4", "-pe", "smp", "4"),
	}
	for text, want := range map[string]string{
		"invalid partition specified: nowhere":    "partition",
		"nowhere: No such queue.":                 "partition",
		"'nowhere' is not a valid queue":          "partition",
		"queue <nowhere>.":                        "partition",
		"we go nowhere today":                     "",
		"limit of user's size":                    "",
		"nowhere.q: no":                           "",
		"unrecognized option '--acc=phys'":        "account",
		"option '--acc' is ambiguous":             "account",
		"option '--accounts' is unknown":          "",
		"invalid option -- 'N'":                   "nodes",
		"bad -N value":                            "nodes",
		"2: too many":                             "",
		"ab: too short to be found":               "",
		"illegal -Z value":                        "Z",
		"-Zquick is new":                          "",
		"-pe is unknown":                          "pe",
		"--acc: phys is closed, as is -p nowhere": "partition account",
	} {
		var names []string
		for _, a := range (Message{Lines: []string{text}}).NamedArguments(args) {
			names = append(names, a.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%q names %q, want %q", text, got, want)
		}
	}
}

func TestIsBanner(t *testing.T) {
	for line, want := range map[string]bool{
		"** Welcome **": true, "* a *": true, "====": true, "*": true, "--- 5 ---": true, "": true,
		"*5": false, "5": false, "-x-": false, "error": false, "a**a": false, "** Welcome": false, "_x_ y": false,
	} {
		if got := isBanner(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}
