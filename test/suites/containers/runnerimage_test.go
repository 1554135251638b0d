package containers

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// runnerImage puts the image for the runner's own scripts into the open registry.
func (w *world) runnerImage(t *testing.T, s *site.Site) string {
	t.Helper()
	debian.Need(t, images.RunnerPrograms())
	w.runner.Do(func() {
		var p images.Packed
		if p, w.runnerErr = images.Runner(filepath.Join(s.Helper, "gitlab-runner")); w.runnerErr == nil {
			w.runnerName = w.own.Copy(p, "site/runner", "")
		}
	})
	if w.runnerErr != nil {
		t.Fatal(w.runnerErr)
	}
	return w.runnerName
}

// inEngine sets keys of the engine's table.
func (r *rig) inEngine(values site.Table) func(site.Config) {
	return func(c site.Config) {
		table := site.Table{}
		if r.engine.table != nil {
			table = r.engine.table(r.world)
		}
		for key, value := range values {
			table[key] = value
		}
		c.Set("general", r.engine.name, table)
	}
}

// ownStages are the calls of the driver for scripts of the runner.
func ownStages(result fakerunner.Result) (names []string) {
	for _, c := range result.Calls {
		if !slices.Contains([]string{"config", "prepare", "build_script", "after_script", "cleanup"}, c.Stage) {
			names = append(names, c.Stage)
		}
	}
	return names
}

// fullJob has sources, the cache of the rig and an artifact. Its script adds a line to the
// file in the cache.
func (r *rig) fullJob(t *testing.T, image string) fakerunner.Job {
	t.Helper()
	repo, err := r.site.GitLab.AddRepository("group/project", repository(t))
	if err != nil {
		t.Fatal(err)
	}
	j := site.WithSources(r.job(image, "cat README; echo script in image ${FROM_RUNNER_IMAGE:-no}; mkdir -p kept; echo line >>kept/file; echo lines $(wc -l <kept/file); cp kept/file made"), repo)
	j.AfterScript = []string{"echo after in image ${FROM_RUNNER_IMAGE:-no}"}
	j.Cache = []fakerunner.Cache{{Key: filepath.Base(r.site.Dir), Paths: []string{"kept"}}}
	j.Artifacts = []fakerunner.Artifact{{Name: "a", Paths: []string{"made"}}}
	return j
}

// usesRunnerImage makes the site run the runner's own scripts in an image, with more keys of
// the engine's table. The job is one of all stages, with an image if it had one.
func usesRunnerImage(more func(*rig) site.Table) func(*testing.T, *rig, *fakerunner.Job) {
	return func(t *testing.T, r *rig, j *fakerunner.Job) {
		t.Helper()
		keys := more(r)
		keys["runner_image"] = r.runnerImage(t, r.site)
		r.reconfigure(t, r.inEngine(keys))
		r.runner.PreGetSources = "echo sources in image ${FROM_RUNNER_IMAGE:-no} for $CI_PROJECT_PATH"
		t.Cleanup(func() { r.runner.PreGetSources = "" })
		full := r.fullJob(t, "bb:1")
		if full.Image = j.Image; len(j.Script) > 0 {
			full.Script, full.AfterScript, full.Artifacts = j.Script, []string{strings.Replace(j.Script[0], "script", "after", 1)}, nil
		}
		*j = full
	}
}

// withRunnerImage are jobs of a site that runs the runner's own scripts in an image, each in
// a container of its own, and those of the job's author in theirs, if any.
func withRunnerImage() []contractCase {
	const where = "echo script on $(sed -n 's/^NAME=\"\\([A-Za-z]*\\).*/\\1/p' /etc/os-release 2>/dev/null | grep . || echo none)"
	set := func(key string, value any) func(*rig) site.Table {
		return func(*rig) site.Table { return site.Table{key: value} }
	}
	return []contractCase{
		{
			name: "image for the runner's scripts", image: "bb:1", arrange: usesRunnerImage(func(*rig) site.Table { return site.Table{} }),
			shows: []string{"sources in image yes for group/project", "from-the-repository\nscript in image no\n", "\nlines 1\n", "after in image no", "/site/runner"},
			check: ownScriptsInContainers,
		},
		{
			name: "image for the runner's scripts alone", script: []string{where}, arrange: usesRunnerImage(func(*rig) site.Table { return site.Table{} }),
			change: func(j *fakerunner.Job) { j.Image = "" }, shows: []string{"sources in image yes", "script on Debian", "after on Debian"},
		},
		{
			name: "options for the runner's scripts", image: "bb:1", script: []string{where},
			arrange: usesRunnerImage(func(r *rig) site.Table { return site.Table{"runner_options": r.option("FROM_RUNNER_IMAGE=by-option")} }),
			shows:   []string{"sources in image by-option", "script on none", "after on none"},
		},
		{
			name: "entrypoint for the runner's scripts", image: "bb:1", script: []string{where},
			arrange: usesRunnerImage(set("runner_entry_point", []string{"/bin/env", "FROM_RUNNER_IMAGE=by-entry"})),
			shows:   []string{"sources in image by-entry", "script on none", "after on none"},
		},
		{
			name: "containers for the script alone", image: "bb:1", script: []string{where}, arrange: usesRunnerImage(set("step_script_only", true)),
			shows: []string{"sources in image no", "script on none", "after on Debian"},
		},
	}
}

// ownScriptsInContainers requires that each script of the runner ran in its image, and that
// another job finds the cache that they stored, in a brief run for one pair alone.
func ownScriptsInContainers(t *testing.T, r *rig, result fakerunner.Result) {
	t.Helper()
	results := []fakerunner.Result{result}
	if !r.brief {
		results = append(results, r.run(t, r.fullJob(t, "bb:1")))
		site.Want(t, results[1], fakerunner.Success, 0, "\nlines 2\n")
	}
	for _, result := range results {
		own := ownStages(result)
		if ran := strings.Count(result.Trace, "entrypoint-ran"); ran != len(own) || len(own) < 5 {
			t.Errorf("%d scripts of the runner ran in the image, want %q", ran, own)
		}
		for _, c := range result.Calls {
			if c.Status != 0 {
				t.Errorf("stage %s: status %d: %s", c.Stage, c.Status, c.Failure)
			}
		}
	}
}

// option is an option of the engine that sets a variable.
func (r *rig) option(pair string) []string {
	if r.engine.name == "charliecloud" {
		return []string{"--set-env=" + pair}
	}
	return []string{"--env", pair}
}

// An image of the site that cannot be used is no fault of the job: the runner may try
// again. The job's script does not run.
func TestUnusableRunnerImage(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for image, text := range map[string]string{
			"nothing/here:1": "cannot use this resource's image for scripts of GitLab Runner",
			"noshell:1":      "GitLab Runner",
			"swallow:1":      "cannot run a script of GitLab Runner in its container: the image's entrypoint ended (exit code 0)",
			"noexec:1":       "cannot run a script of GitLab Runner in its container",
		} {
			t.Run(image, func(t *testing.T) {
				r.reconfigure(t, r.inEngine(site.Table{"runner_image": r.own.Host + "/" + image}))
				j := r.fullJob(t, "bb:1")
				result := r.run(t, j)
				site.Want(t, result, fakerunner.SystemFailure, 0, text, "runner_image")
				if strings.Contains(result.Trace, "script in image no\n") {
					t.Error("the script ran")
				}
			})
		}
	})
}
