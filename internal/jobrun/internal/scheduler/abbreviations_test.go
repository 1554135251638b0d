package scheduler_test

import (
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/scheduler"
	"jacamar-ci/internal/jobrun/internal/scheduler/slurm"
)

func resolve(text string, rules ...scheduler.Rule) ([]scheduler.Argument, error) {
	args, _, err := slurm.Slurm{}.Grammar().Resolve(scheduler.Request{
		Rules: rules, User: []scheduler.UserText{{Name: "SCHEDULER_PARAMETERS", Text: text}},
	})
	return args, err
}

// An abbreviation that is ambiguous only in some versions of sbatch is passed to it as
// written.
func TestAbbreviations(t *testing.T) {
	for _, text := range []string{
		"--res=ci --exclusive=user -A bank --deadline=now+1hour -N 1 -t 60", // of a public project
		"--res=ci", "--ntasks-per=2", "--mem-per=4G", "--no-k", "--spread", "--cpu=low", "--gpus-per 2", "--sp",
		"--part main", "--acco=x -N1", "--exclus", "--ex=n1",
	} {
		args, err := resolve(text)
		if text == "--ex=n1" { // --export is the engine's
			if err == nil {
				t.Errorf("%s is passed as %q", text, scheduler.Words(args))
			}
			continue
		}
		if err != nil || strings.Join(scheduler.Words(args), " ") != text {
			t.Errorf("%s: %q, %v", text, scheduler.Words(args), err)
		}
	}
	for text, want := range map[string]string{
		"--exc n1":    "--exc could be --exclude or --exclusive", // is n1 a value, or the script?
		"--res ci":    "--res could be --reservation or --resv-ports",
		"--ex=n1":     "could be",
		"--out=/x":    "--output is set by Jacamar",
		"--exp=ALL":   "could be --export", // or --export-file: both are the engine's
		"--wai":       "could be",
		"--wait-a 1":  "",
		"--no-req":    "",
		"--h":         "could be", // --help, --hint, --hold
		"--j=x":       "--job-name is set by Jacamar",
		"--usa":       "--usage is set by Jacamar",
		"--contigu=1": "takes no value",
	} {
		args, err := resolve(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q, %v, want %q", text, scheduler.Words(args), err, want)
		}
	}
}

// An abbreviation that could be a required option cannot bypass the rule.
func TestAbbreviationOfRequired(t *testing.T) {
	rule := scheduler.Rule{Name: "[[batch.rule]] number 1", Words: []string{"--reservation=ci"}, Required: true}
	for text, ok := range map[string]bool{
		"--res=other": false, "--res=ci": false, "--reserv=ci": true, "--reserv=other": false, "-N1": true, "--resv=1": true,
	} {
		args, err := resolve(text, rule)
		if (err == nil) != ok {
			t.Errorf("%s: %q, %v", text, scheduler.Words(args), err)
		}
		if line, hint := failure.ForUser(err, false, ""); text == "--res=other" && (!strings.Contains(line, `"--res=other" could contradict`) || !strings.Contains(hint, "reservation")) {
			t.Errorf("%q, %q", line, hint)
		}
	}
	weak := scheduler.Rule{Name: "[[batch.rule]] number 1", Words: []string{"--reservation=ci"}}
	args, err := resolve("--res=other", weak)
	if err != nil || !slices.Equal(scheduler.Words(args), []string{"--reservation=ci", "--res=other"}) {
		t.Errorf("%q, %v: the last of two takes precedence", scheduler.Words(args), err)
	}
}
