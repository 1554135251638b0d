package schedulers

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// TestAuthorsMistakes: what the author of a batch job writes wrongly has one line that names
// the word, and the class of the job's own failure. With the correction that the line names, the job runs.
func TestAuthorsMistakes(t *testing.T) {
	c := fakeCluster(t, "slurm")
	s := c.site(t)
	r := s.Runner()
	for name, tt := range map[string]struct {
		arguments, right string
		texts            []string
		submitted        bool
	}{
		"misspelt option":           {"--nodez=1", "--nodes=1", []string{"refused the job", "--nodez"}, false},
		"unpaired quote":            {"--comment='a", "--comment='a'", []string{"SCHEDULER_PARAMETERS", "quote"}, false},
		"reserved option":           {"-N1 -o x", "-N1", []string{`has the argument "-o"`, "--output is set by Jacamar", "remove --output from SCHEDULER_PARAMETERS"}, false},
		"a script":                  {"-N1 ./run.sh", "-N1", []string{`"./run.sh" is not an option`}, false},
		"a directive":               {"#SBATCH -N 1", "-N 1", []string{`"#SBATCH" is a directive of batch scripts; give the arguments alone`, "remove #SBATCH"}, false},
		"a command":                 {"-N1; rm -rf x", "-N1", []string{"SCHEDULER_PARAMETERS"}, false},
		"sbatch":                    {"sbatch -N 1", "-N 1", []string{`"sbatch" is a command`, "remove sbatch"}, false},
		"a dash of a letter":        {"–N 1", "-N 1", []string{"(U+2013)", "write -N"}, false},
		"unknown partition":         {"--partition=foo", "", []string{"refused the job", "sbatch printed:", "invalid partition specified: foo", "sbatch --", "change --partition=foo in SCHEDULER_PARAMETERS"}, false},
		"more nodes than there are": {"-N 200", "-N 1", []string{"can never start", "change the request in SCHEDULER_PARAMETERS"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := parameters(newJob(s, "echo ran"), tt.arguments)
			res := r.Run(j)
			site.Want(t, res, fakerunner.ScriptFailure, 1, tt.texts...)
			if strings.Count(res.Trace, "jacamar: ERROR: ") != 1 {
				t.Errorf("not one line:\n%s", res.Trace)
			}
			if !tt.submitted {
				c.never(t, batchName(r, j))
			}
			site.Want(t, r.Run(parameters(newJob(s, "echo ran"), tt.right)), fakerunner.Success, 0, "ran")
		})
	}
}

// TestAdministratorsMistakes: arguments of the site that the batch system, or Jacamar, cannot
// use are found by a check with an account, and are a failure of the resource in a job.
func TestAdministratorsMistakes(t *testing.T) {
	c := fakeCluster(t, "slurm")
	for name, tt := range map[string]struct {
		change func(site.Config)
		text   string
	}{
		"reserved argument":  {func(conf site.Config) { conf.Set("batch", "default_args", []string{"--output=x"}) }, "the site's default_args contains --output, which is set by Jacamar"},
		"arguments joined":   {func(conf site.Config) { conf.Set("batch", "default_args", []string{"--partition=main --time=10"}) }, "refused the site's argument"},
		"misspelt in a rule": {func(conf site.Config) { conf.Set("batch", "rule", []site.Table{{"args": []string{"--acount=x"}}}) }, "acount"},
		"unknown partition":  {func(conf site.Config) { conf.Set("batch", "default_args", []string{"--partition=foo"}) }, "refused the site's argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := c.site(t, tt.change)
			r := s.Runner()
			j := newJob(s, "echo ran")
			site.Want(t, r.Run(j), fakerunner.SystemFailure, 0, tt.text, "administrators")
			c.never(t, batchName(r, j))
			out, _ := exec.Command(s.Admin, "check", "--json", "--configuration", s.ConfigFile, "--account", s.Account.Name).Output()
			var report struct {
				Lines []struct{ Check, Result, Text, Fix string }
			}
			if err := json.Unmarshal(out, &report); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if !slices.ContainsFunc(report.Lines, func(l struct{ Check, Result, Text, Fix string }) bool {
				return l.Check == "trial" && l.Result == "fail" && strings.Contains(l.Text, tt.text) && l.Fix != ""
			}) {
				t.Errorf("check does not find %q:\n%s", tt.text, out)
			}
		})
	}
}
