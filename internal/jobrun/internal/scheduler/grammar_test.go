package scheduler

import (
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

func singleDashGrammar() Grammar {
	var g Grammar
	g.AddSingleDash(0, "H V")
	g.AddSingleDash(1, "l q W")
	g.AddSingleDash(2, "pe")
	g.ReserveSingleDash(1, "J o")
	return g
}

func TestParseSingleDash(t *testing.T) {
	for words, want := range map[string]string{
		"":                    "",
		"-H -q main":          "H= q=main",
		"-pe smp 4 -H":        "pe=smp 4 H=",
		"-l -H":               "l=-H",
		"-pe -J x -l h_rt=60": "pe=-J x l=h_rt=60",
		"-J x":                "!J=x",
	} {
		args, err := singleDashGrammar().Parse(strings.Fields(words))
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

func TestParseSingleDashRejects(t *testing.T) {
	for words, want := range map[string]string{
		"-Jx":        "not a known option",
		"-pe smp":    "needs a value",
		"script":     "not a known option",
		"-H script":  "not a known option",
		"--":         "not a known option",
		"--H":        "not a known option",
		"H":          "not a known option",
		"-":          "not a known option",
		"-Hq main":   "not a known option",
		"-l=h_rt=60": "not a known option",
	} {
		args, err := singleDashGrammar().Parse(strings.Fields(words))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", words, args, err, want)
		}
	}
}

// An abbreviation that may mean options with and without a value takes one that is attached.
func TestAmbiguousValue(t *testing.T) {
	for _, names := range []struct{ none, optional string }{{"exact", "exclusive"}, {"exclusive", "exact"}} {
		var g Grammar
		g.Add(None, names.none)
		g.Add(Optional, names.optional)
		args, err := g.Parse([]string{"--ex=5"})
		if err != nil || len(args) != 1 || args[0].Value != "5" || len(args[0].Candidates) != 2 {
			t.Errorf("%+v: %+v, %v", names, args, err)
		}
	}
}

func TestFlag(t *testing.T) {
	for want, o := range map[string]Option{
		"-pe": {Long: "pe", SingleDash: true}, "-J": {Long: "J", SingleDash: true}, "-N": {Long: "N", Short: 'N'}, "--nodes": {Long: "nodes", Short: 'N'},
	} {
		if got := o.flag(); got != want {
			t.Errorf("%+v: %s, want %s", o, got, want)
		}
	}
}

// A message names a reserved option by its dashes.
func TestReservedOptionName(t *testing.T) {
	letters := Grammar{}
	letters.Reserve(Required, "N/N")
	for want, tt := range map[string]struct {
		g    Grammar
		text string
	}{
		"-J is set":         {singleDashGrammar(), "-J x"},
		"-N is set":         {letters, "-Nx"},
		"--job-name is set": {testGrammar(), "-Jx"},
	} {
		_, _, err := tt.g.Resolve(Request{User: []UserText{{"SITE", tt.text}}})
		if err == nil {
			t.Fatalf("%s: not refused", tt.text)
		}
		if line, _ := failure.ForUser(err, false, ""); !strings.Contains(line, want) {
			t.Errorf("%s: %q, want %q", tt.text, line, want)
		}
	}
}

func TestContains(t *testing.T) {
	for text, want := range map[string]bool{"": false, "-N 2": true, "-N2": true, "--nodes=1": true, "--node 1": true, "-t 5": false, "-t": false} {
		if got := testGrammar().Contains(strings.Fields(text), "nodes", "ntasks"); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// No text of a user adds a reserved option, or a word that is not an option, to the
// arguments of a program with single-dash options.
func FuzzResolveSingleDash(f *testing.F) {
	for _, s := range []string{"-H", "-pe a b", "-l -J", "-Jx", "x", "-pe -J x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		g := singleDashGrammar()
		args, _, err := g.Resolve(Request{User: []UserText{{"U", text}}})
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

// A text that was pasted from elsewhere is rejected with a fix.
func TestPasted(t *testing.T) {
	for text, want := range map[string]struct{ line, fix string }{
		"#SBATCH -N 2":                    {`"#SBATCH" is a directive of batch scripts`, "remove #SBATCH"},
		"-N 1\n##SBATCH -t 5":             {`"##SBATCH"`, "remove ##SBATCH"},
		"#PBS -l select=1":                {`"#PBS"`, "remove #PBS"},
		"#BSUB -n 1":                      {`"#BSUB"`, "remove #BSUB"},
		"#$ -l h_rt=1":                    {`"#$"`, "remove #$"},
		"#COBALT -t 5":                    {`"#COBALT"`, "remove #COBALT"},
		"#flux: -N 1":                     {`"#flux:"`, "remove #flux:"},
		"# flux: -N 1":                    {`begins with "#"`, "remove it"},
		"-N 1 # two nodes":                {`begins with "#"`, "remove it"},
		"sbatch -N 2":                     {`"sbatch" is a command`, "remove sbatch"},
		"–N 2":                            {`'–' (U+2013)`, "write -N"},
		"—nodes=2":                        {`'—' (U+2014)`, "write --nodes=2"},
		"––nodes=2":                       {`'–' (U+2013)`, "write --nodes=2"},
		"–nodes 2":                        {`'–' (U+2013)`, "write --nodes"},
		"−t 5":                            {`'−' (U+2212)`, "write -t"},
		"-–nodes=2":                       {`is not an option`, ""},
		"−-nodes=2":                       {`'−' (U+2212)`, "write --nodes=2"},
		"\u2010nodes":                     {`'‐' (U+2010)`, "write -nodes"},
		"-N 1 é":                          {`"é" is not an option`, ""},
		"-N 1 --comment=“a b”":            {`'”' (U+201D)`, `ASCII quotes`},
		"--comment=‘a b’":                 {`'’' (U+2019)`, `ASCII quotes`},
		"-N 1 \u00a0-t":                   {`U+00A0`, `ASCII space`},
		"\ufeff-N 1":                      {`U+FEFF`, `ASCII`},
		"-N 1 two words":                  {`"two" is not an option; a value with spaces needs quotes`, ""},
		"--comment=a b --account=x":       {`"b" is not an option`, ""},
		"-A x \u200b":                     {`U+200B`, `ASCII`},
		"--comment=\"“quoted”\" – -N":     {`'–' (U+2013)`, "write -"},
		strings.Repeat("x", 200) + " -N1": {`xxx…" is not an option`, ""},
	} {
		for name, g := range map[string]Grammar{"double dash": testGrammar(), "single dash": singleDashGrammar()} {
			_, _, err := g.Resolve(Request{User: []UserText{{"SITE_ARGS", text}}})
			if name == "single dash" && err != nil && strings.Contains(err.Error(), "not a known option") {
				continue // it has other options
			}
			if err == nil {
				t.Errorf("%s: %q is accepted", name, text)
				continue
			}
			line, hint := failure.ForUser(err, false, "")
			if !strings.HasPrefix(line, "SITE_ARGS: ") || !strings.Contains(line, want.line) || !strings.Contains(hint, want.fix) || (hint == "") != (want.fix == "") {
				t.Errorf("%s: %q: %q, %q", name, text, line, hint)
			}
		}
	}
	for _, text := range []string{`--comment="“a b”"`, "--comment='–'", "--comment=é", `--comment="#SBATCH"`} {
		if _, _, err := testGrammar().Resolve(Request{User: []UserText{{"SITE_ARGS", text}}}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
