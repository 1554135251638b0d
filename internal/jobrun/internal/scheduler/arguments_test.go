package scheduler

import (
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

func testGrammar() Grammar {
	var g Grammar
	g.Add(Required, "account/A nodes/N open-mode comment time/t")
	g.Add(Optional, "nice")
	g.Add(None, "hold/H wait-more")
	g.Reserve(Required, "job-name/J output/o")
	g.Reserve(None, "wait/W")
	return g
}

func TestParse(t *testing.T) {
	tests := []struct {
		words string
		want  string // "name=value" for each argument, "!" for reserved
	}{
		{"--account=a", "account=a"},
		{"--account a", "account=a"},
		{"-Aa", "account=a"},
		{"-A a", "account=a"},
		{"--acc a", "account=a"},
		{"--acc=a=b", "account=a=b"},
		{"-HAa", "hold= account=a"},
		{"-HA a", "hold= account=a"},
		{"--nice", "nice="},
		{"--nice --hold", "nice= hold="},
		{"--nice=5", "nice=5"},
		{"--job-name=x", "!job-name=x"},
		{"--job-name x", "!job-name=x"},
		{"--job x", "!job-name=x"},
		{"--j=x", "!job-name=x"},
		{"-Jx", "!job-name=x"},
		{"-J x", "!job-name=x"},
		{"-HJx", "hold= !job-name=x"},
		{"-AJx", "account=Jx"},
		{"-HWN1", "hold= !wait= nodes=1"},
		{"--ou=f", "!output=f"},
		{"--wait", "!wait="},
		{"--wait-more", "wait-more="},
		{"--account -J", "account=-J"},
		{"--newer=5", "newer=5"},
		{"--newer --job-name=x", "newer= !job-name=x"},
		{"-Z", "Z="},
		{"-ZJx", "Z= !job-name=x"},
	}
	for _, tt := range tests {
		t.Run(tt.words, func(t *testing.T) {
			args, err := testGrammar().Parse(strings.Fields(tt.words))
			if err != nil {
				t.Fatal(err)
			}
			var got, words []string
			for _, a := range args {
				mark := ""
				if a.Reserved {
					mark = "!"
				}
				got = append(got, mark+a.Name+"="+a.Value)
				words = append(words, a.Words...)
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("%s, want %s", s, tt.want)
			}
			if len(got) == 1 && strings.Join(words, " ") != tt.words {
				t.Errorf("words changed to %q", words)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for words, want := range map[string]string{
		"--":                  "not an option",
		"-":                   "not an option",
		"script.sh":           "not an option",
		"--hold script.sh":    "not an option",
		"--nice 5":            "not an option",
		": --nodes=1":         "not an option",
		"-0--":                "not an option",
		"-H-J":                "not an option",
		"-H\xe9":              "not an option",
		"--wai":               "could be",
		"--n 5":               "could be",
		"--o=x":               "could be",
		"--hold=x":            "takes no value",
		"--account":           "needs a value",
		"-HA":                 "needs a value",
		"--hold -- script.sh": "not an option",
	} {
		args, err := testGrammar().Parse(strings.Fields(words))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, error %v, want %q", words, args, err, want)
		}
	}
}

func TestResolve(t *testing.T) {
	user := func(text string) []UserText { return []UserText{{"SCHEDULER_PARAMETERS", text}} }
	rule := func(name, text string, required bool) Rule { return Rule{name, strings.Fields(text), required} }
	tests := []struct {
		name     string
		request  Request
		want     string
		warnings int
	}{
		{"nothing", Request{}, "", 0},
		{"the job's own", Request{User: user("-N 1 -t5")}, "-N 1 -t5", 0},
		{"several texts in order", Request{User: []UserText{{"A", "-N 1"}, {"B", "-t 5"}}}, "-N 1 -t 5", 0},
		{"a default", Request{Defaults: strings.Fields("-t 5")}, "-t 5", 0},
		{"a default is overridden", Request{Defaults: strings.Fields("-t 5 -N 2"), User: user("--time=9")}, "-N 2 --time=9", 0},
		{"an optional rule overrides a default", Request{Defaults: strings.Fields("-A x"), Rules: []Rule{rule("r", "-A y", false)}}, "-A y", 0},
		{"an optional rule is overridden", Request{Rules: []Rule{rule("r", "-A y", false)}, User: user("-A z")}, "-A z", 0},
		{"a required rule is added", Request{Rules: []Rule{rule("r", "--account=y", true)}, User: user("-N 1")}, "-N 1 --account=y", 0},
		{"a required rule overrides a default", Request{Defaults: strings.Fields("-A x"), Rules: []Rule{rule("r", "-A y", true)}}, "-A y", 0},
		{"a required one is repeated", Request{Rules: []Rule{rule("r", "--account=y", true)}, User: user("-A y -N 1")}, "-N 1 --account=y", 0},
		{"the last required rule takes precedence", Request{Rules: []Rule{rule("r", "-A x -N 1", true), rule("s", "-A y", true)}}, "-N 1 -A y", 0},
		{"reserved ones are dropped where the site configured it", Request{AllowReserved: true, User: user("-J x -N 1 -W")}, "-N 1", 2},
		{"quoted text is one word", Request{User: user(`--comment="$(id) -o x"`)}, "--comment=$(id) -o x", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args, warnings, err := testGrammar().Resolve(tt.request)
			if err != nil || strings.Join(Words(args), " ") != tt.want || len(warnings) != tt.warnings {
				t.Errorf("%q, %q, %v, want %q", Words(args), warnings, err, tt.want)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	tests := []struct {
		name    string
		request Request
		kind    failure.Kind
		texts   []string
	}{
		{"a reserved argument", Request{User: []UserText{{"SITE_ARGS", "-N 1 -Jx"}}}, failure.Build, []string{"SITE_ARGS", "-Jx", "--job-name"}},
		{"an unbalanced quote", Request{User: []UserText{{"SITE_ARGS", "'"}}}, failure.Build, []string{"SITE_ARGS", "quote"}},
		{"a word that is not an option", Request{User: []UserText{{"SITE_ARGS", "-- evil.sh"}}}, failure.Build, []string{"SITE_ARGS", "--"}},
		{
			"a contradicted rule",
			Request{Rules: []Rule{{`rule "physics"`, []string{"--account=phys"}, true}}, User: []UserText{{"S", "-A bio"}}},
			failure.Build,
			[]string{`rule "physics"`, "-A bio", "--account=phys"},
		},
		{
			"a contradicted rule, abbreviated",
			Request{Rules: []Rule{{`rule "physics"`, []string{"-A", "phys"}, true}}, User: []UserText{{"S", "--acc bio"}}},
			failure.Build,
			[]string{"--acc bio"},
		},
		{"a reserved default", Request{Defaults: []string{"--output=x"}}, failure.System, []string{"default_args", "--output"}},
		{"a broken rule", Request{Rules: []Rule{{`rule "r"`, []string{"x"}, false}}}, failure.System, []string{`rule "r"`}},
		{"a reserved default even where users may", Request{AllowReserved: true, Defaults: []string{"-o", "x"}}, failure.System, []string{"--output"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args, _, err := testGrammar().Resolve(tt.request)
			if err == nil {
				t.Fatalf("%q, want an error", Words(args))
			}
			line, _ := failure.ForUser(err, false, "")
			for _, want := range tt.texts {
				if !strings.Contains(line, want) {
					t.Errorf("%q does not name %q", line, want)
				}
			}
			if k := failure.KindOf(err); k != tt.kind {
				t.Errorf("kind %v, want %v", k, tt.kind)
			}
		})
	}
}

// No text of a user adds a reserved option or a script name to the arguments.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{"-N 1", "-HJx", "--job x", "--", "a", "-N 1 -- a", "--o=x", "-AJ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g := testGrammar()
		args, _, err := g.Resolve(Request{User: []UserText{{"U", text}}})
		if err != nil {
			return
		}
		parsed, err := g.Parse(Words(args))
		if err != nil {
			t.Fatalf("%q does not parse again: %v", Words(args), err)
		}
		if slices.ContainsFunc(parsed, func(a Argument) bool { return a.Reserved }) {
			t.Errorf("%q has a reserved option", Words(args))
		}
	})
}
