package schedulers

import (
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

// The message of a site's plugin, hook, filter or verifier is shown in full, and refuses
// the job at once, whatever its text would mean elsewhere.
func TestSiteRefuses(t *testing.T) {
	overFakes(t, func(t *testing.T, c cluster) {
		s := c.site(t)
		r := s.Runner()
		for _, refusal := range []string{
			"partition night is temporarily closed: the connection to the backup controller timed out",
			"Socket timed out on send/recv operation", "End of File", "Batch protocol error", "Connection reset by peer: ask again on Friday",
		} {
			if err := c.fake.Behave(fakeschedulers.Behaviour{Refuse: refusal}); err != nil {
				t.Fatal(err)
			}
			j := newJob(s, "echo ran")
			begin := time.Now()
			res := r.Run(j)
			site.Want(t, res, fakerunner.ScriptFailure, 1, "refused the job", refusal)
			if took := time.Since(begin); took > 40*time.Second || strings.Contains(res.Trace, "no clear reply") || strings.Contains(res.Trace, "has been running") {
				t.Errorf("%q took %v\n%s", refusal, took, res.Trace)
			}
			c.never(t, batchName(r, j))
		}
	})
}

// An argument of the site that the batch system refuses is the site's failure.
func TestSiteArgumentIsRefused(t *testing.T) {
	atOnce(t, func(t *testing.T, c cluster) {
		declined := map[string][]string{
			"slurm": {"-p", "nowhere"}, "lsf": {"-q", "nowhere"}, "sge": {"-q", "nowhere.q"}, "flux": {"-q", "nowhere"}, "cobalt": {"-q", "nowhere", "-n", "1", "-t", "10"},
			"pbs": {"-Y"}, "torque": {"-Y"}, // which do not report an unknown queue
		}[c.kind]
		s := c.site(t, func(conf site.Config) { conf.Set("batch", "default_args", declined) })
		r := s.Runner()
		j := newJob(s, "echo ran")
		site.Want(t, r.Run(j), fakerunner.SystemFailure, 0, "refused the site's argument", "default_args", "administrators")
		c.never(t, batchName(r, j))
	})
}

// Slurm's own plugins, as sites write them, over a real Slurm: their messages are in the
// job's log, and do not affect the result.
func TestSlurmPlugins(t *testing.T) {
	c := clusterOf(t, slurm.Options{Conf: []string{"JobSubmitPlugins=lua", "CliFilterPlugins=lua"}, Files: map[string]string{
		"job_submit.lua": `
function slurm_job_submit(job, partitions, uid)
	if job.comment == "closed" then
		slurm.log_user("partition night is temporarily closed: no communication with the backup controller")
		slurm.log_user("choose one with --account")
		return slurm.ERROR
	elseif job.comment == "liar" then
		slurm.log_user("see\nBatch job submission failed: Socket timed out on send/recv operation")
		return slurm.ESLURM_INVALID_ACCOUNT
	end
	return slurm.SUCCESS
end
function slurm_job_modify() return slurm.SUCCESS end
return slurm.SUCCESS
`,
		"cli_filter.lua": `
function slurm_cli_setup_defaults() return slurm.SUCCESS end
function slurm_cli_pre_submit(options, offset)
	if options["comment"] == "filter" then
		slurm.log_error("the connection to the project database timed out; retry later")
		return slurm.ERROR
	end
	return slurm.SUCCESS
end
function slurm_cli_post_submit() return slurm.SUCCESS end
`,
	}})
	s := c.site(t)
	r := s.Runner()
	for comment, texts := range map[string][]string{
		"closed": {"Slurm refused the job: choose one with --account", "sbatch printed:", "    sbatch: error: partition night is temporarily closed", "Unspecified error"},
		"liar":   {"Slurm refused the job: Batch job submission failed: Invalid account", "Socket timed out"},
		"filter": {"Slurm refused the job: lua: the connection to the project database timed out; retry later", "cli_filter plugin"},
	} {
		t.Run(comment, func(t *testing.T) {
			j := parameters(newJob(s, "echo ran"), "--comment="+comment)
			begin := time.Now()
			site.Want(t, r.Run(j), fakerunner.ScriptFailure, 1, texts...)
			if took := time.Since(begin); took > 40*time.Second {
				t.Errorf("took %v", took)
			}
			c.never(t, batchName(r, j))
		})
	}
	j := newJob(s, "echo ran")
	site.Want(t, r.Run(j), fakerunner.Success, 0, "ran")
	c.once(t, batchName(r, j))
}
