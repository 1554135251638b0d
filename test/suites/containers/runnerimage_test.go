package containers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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

// fullJob has sources, a cache of that name and an artifact. Its script adds a line to the
// file in the cache.
func (r *rig) fullJob(t *testing.T, image, cache string) fakerunner.Job {
	t.Helper()
	repo, err := r.site.GitLab.AddRepository("group/project", repository(t))
	if err != nil {
		t.Fatal(err)
	}
	j := site.WithSources(r.job(image, "cat README; echo script in image ${FROM_RUNNER_IMAGE:-no}; mkdir -p kept; echo line >>kept/file; echo lines $(wc -l <kept/file); cp kept/file made"), repo)
	j.AfterScript = []string{"echo after in image ${FROM_RUNNER_IMAGE:-no}"}
	j.Cache = []fakerunner.Cache{{Key: cache, Paths: []string{"kept"}}}
	j.Artifacts = []fakerunner.Artifact{{Name: "a", Paths: []string{"made"}}}
	return j
}

// The runner's own scripts run in the site's image, each in a container of its own, and
// those of the job's author in theirs.
func TestRunnerImage(t *testing.T) {
	pairs(t, func(t *testing.T, e engine, x executor) {
		r := openRig(t, e, x)
		name := r.runnerImage(t, r.site)
		if err := r.site.Reconfigure(append(r.changes(t, x), r.inEngine(site.Table{"runner_image": name}))...); err != nil {
			t.Fatal(err)
		}
		r.runner.PreGetSources = "echo sources in image ${FROM_RUNNER_IMAGE:-no} for $CI_PROJECT_PATH"
		cache := fmt.Sprint(time.Now().UnixNano())
		for n := range 2 {
			result := r.run(t, r.fullJob(t, "bb:1", cache))
			site.Want(t, result, fakerunner.Success, 0, "sources in image yes for group/project",
				"from-the-repository\nscript in image no\n", fmt.Sprintf("\nlines %d\n", n+1), "after in image no", "/site/runner")
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
	})
}

// Which scripts run in a container is the site's choice: without an image the job's are on
// the host, and with step_script_only nothing but the job's script is in one.
func TestRunnerImageOfOtherJobs(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		name := r.runnerImage(t, r.site)
		r.runner.PreGetSources = "echo sources in image ${FROM_RUNNER_IMAGE:-no}"
		for _, tt := range []struct {
			name, image string
			table       site.Table
			texts       []string
		}{
			{"no image", "", site.Table{"runner_image": name}, []string{"sources in image yes", "script on Debian"}},
			{"only the script", "bb:1", site.Table{"runner_image": name, "step_script_only": true}, []string{"sources in image no", "script on none", "after on Debian"}},
			{"options", "bb:1", site.Table{"runner_image": name, "runner_options": r.option("FROM_RUNNER_IMAGE=by-option")}, []string{"sources in image by-option", "script on none", "after on none"}},
			{"no entrypoint", "bb:1", site.Table{"runner_image": name, "runner_entry_point": []string{"/bin/env", "FROM_RUNNER_IMAGE=by-entry"}}, []string{"sources in image by-entry", "script on none"}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r.reconfigure(t, r.inEngine(tt.table))
				j := r.fullJob(t, "bb:1", "other")
				const system = "$(sed -n 's/^NAME=\"\\([A-Za-z]*\\).*/\\1/p' /etc/os-release 2>/dev/null | grep . || echo none)"
				if j.Script, j.AfterScript = []string{"echo script on " + system}, []string{"echo after on " + system}; tt.image == "" {
					j.Image = ""
				}
				j.Artifacts = nil
				site.Want(t, r.run(t, j), fakerunner.Success, 0, tt.texts...)
			})
		}
	})
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
				j := r.fullJob(t, "bb:1", "other")
				result := r.run(t, j)
				site.Want(t, result, fakerunner.SystemFailure, 0, text, "runner_image")
				if strings.Contains(result.Trace, "script in image no\n") {
					t.Error("the script ran")
				}
			})
		}
	})
}
