package scheduler

import (
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
)

// A text that was pasted from elsewhere is refused with the cure.
func TestPasted(t *testing.T) {
	for text, want := range map[string]struct{ line, cure string }{
		"#SBATCH -N 2":                    {`"#SBATCH" is how a script gives arguments`, "leave #SBATCH out"},
		"-N 1\n##SBATCH -t 5":             {`"##SBATCH"`, "leave ##SBATCH out"},
		"#PBS -l select=1":                {`"#PBS"`, "leave #PBS out"},
		"#BSUB -n 1":                      {`"#BSUB"`, "leave #BSUB out"},
		"#$ -l h_rt=1":                    {`"#$"`, "leave #$ out"},
		"#COBALT -t 5":                    {`"#COBALT"`, "leave #COBALT out"},
		"#flux: -N 1":                     {`"#flux:"`, "leave #flux: out"},
		"# flux: -N 1":                    {`begins with "#"`, "leave it out"},
		"-N 1 # two nodes":                {`begins with "#"`, "leave it out"},
		"sbatch -N 2":                     {`"sbatch" is a command`, "leave sbatch out"},
		"–N 2":                            {`'–' (U+2013)`, "write -N"},
		"—nodes=2":                        {`'—' (U+2014)`, "write --nodes=2"},
		"––nodes=2":                       {`'–' (U+2013)`, "write --nodes=2"},
		"–nodes 2":                        {`'–' (U+2013)`, "write --nodes"},
		"−t 5":                            {`'−' (U+2212)`, "write -t"},
		"-–nodes=2":                       {`is not an option`, ""},
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
		for name, g := range map[string]Grammar{"letters": testGrammar(), "words": wordGrammar()} {
			_, _, err := g.Resolve(Request{User: []Text{{"SITE_ARGS", text}}})
			if name == "words" && err != nil && strings.Contains(err.Error(), "known here") {
				continue // its options are others
			}
			if err == nil {
				t.Errorf("%s: %q is taken", name, text)
				continue
			}
			line, hint := failure.ForUser(err, false, "")
			if !strings.HasPrefix(line, "SITE_ARGS: ") || !strings.Contains(line, want.line) || !strings.Contains(hint, want.cure) || (hint == "") != (want.cure == "") {
				t.Errorf("%s: %q: %q, %q", name, text, line, hint)
			}
		}
	}
	for _, text := range []string{`--comment="“a b”"`, "--comment='–'", "--comment=é", `--comment="#SBATCH"`} {
		if _, _, err := testGrammar().Resolve(Request{User: []Text{{"SITE_ARGS", text}}}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}
