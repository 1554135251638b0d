package scheduler

import (
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

func wordGrammar() Grammar {
	var g Grammar
	g.Words(0, "H V")
	g.Words(1, "l q W")
	g.Words(2, "pe")
	g.ReserveWords(1, "J o")
	return g
}

func TestParseWords(t *testing.T) {
	for words, want := range map[string]string{
		"":                    "",
		"-H -q main":          "H= q=main",
		"-pe smp 4 -H":        "pe=smp 4 H=",
		"-l -H":               "l=-H",
		"-pe -J x -l h_rt=60": "pe=-J x l=h_rt=60",
		"-J x":                "!J=x",
	} {
		args, err := wordGrammar().Parse(strings.Fields(words))
		var got []string
		for _, a := range args {
			mark := ""
			if a.Reserved {
				mark = "!"
			}
			got = append(got, mark+a.Name+"="+a.Value)
		}
		if s := strings.Join(got, " "); err != nil || s != want {
			t.Errorf("%s: %s, %v, want %s", words, s, err, want)
		}
	}
}

func TestParseWordsRefuses(t *testing.T) {
	for words, want := range map[string]string{
		"-Jx":        "known here",
		"-pe smp":    "needs a value",
		"script":     "known here",
		"-H script":  "known here",
		"--":         "known here",
		"--H":        "known here",
		"H":          "known here",
		"-":          "known here",
		"-Hq main":   "known here",
		"-l=h_rt=60": "known here",
	} {
		args, err := wordGrammar().Parse(strings.Fields(words))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", words, args, err, want)
		}
	}
}

// A reserved option is called what the program's users call it.
func TestReservedIsNamedAsWritten(t *testing.T) {
	letters := Grammar{}
	letters.Reserve(Required, "N/N")
	for want, tt := range map[string]struct {
		g    Grammar
		text string
	}{
		"-J is set":         {wordGrammar(), "-J x"},
		"-N is set":         {letters, "-Nx"},
		"--job-name is set": {testGrammar(), "-Jx"},
	} {
		_, _, err := tt.g.Resolve(Request{User: []Text{{"SITE", tt.text}}})
		if err == nil {
			t.Fatalf("%s: not refused", tt.text)
		}
		if line, _ := failure.ForUser(err, false, ""); !strings.Contains(line, want) {
			t.Errorf("%s: %q, want %q", tt.text, line, want)
		}
	}
}

func TestGives(t *testing.T) {
	for text, want := range map[string]bool{"": false, "-N 2": true, "-N2": true, "--nodes=1": true, "--node 1": true, "-t 5": false, "-t": false} {
		if got := testGrammar().Gives(strings.Fields(text), "nodes", "ntasks"); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// No text of a user brings a reserved option, or a word that is none, into the
// arguments of a program with options of words.
func FuzzResolveWords(f *testing.F) {
	for _, s := range []string{"-H", "-pe a b", "-l -J", "-Jx", "x", "-pe -J x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g := wordGrammar()
		args, _, err := g.Resolve(Request{User: []Text{{"U", text}}})
		if err != nil {
			return
		}
		parsed, err := g.Parse(Words(args))
		if err != nil {
			t.Fatalf("%q does not parse again: %v", Words(args), err)
		}
		for _, a := range parsed {
			if a.Reserved {
				t.Errorf("%q has a reserved option", Words(args))
			}
		}
	})
}
