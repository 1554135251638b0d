package fakerunner

import (
	"fmt"
	"path"
	"strconv"
)

// guarded runs the runner's own binary, as helper for caches and artifacts,
// where the job's PATH has it; without it the stage still succeeds.
func (w writer) guarded(doing string, calls ...func()) {
	w.line("if gitlab-runner --version >/dev/null 2>/dev/null; then")
	for _, call := range calls {
		call()
	}
	w.line("else")
	w.warning("Missing gitlab-runner. %s is disabled.", doing)
	w.line("fi")
}

// tolerated runs one helper command whose failure does not fail the stage.
func (w writer) tolerated(failed string, argv ...string) func() {
	return func() {
		quoted := w.quote(argv[0])
		for _, a := range argv[1:] {
			quoted += " " + w.quote(a)
		}
		w.line("if %s; then :; else", quoted)
		w.warning("%s", failed)
		w.line("fi")
	}
}

func (w writer) cacheFile(key string) string {
	return path.Join(w.dirs.cache, w.e.slug(), key, "cache.zip")
}

func (w writer) restoreCache() {
	w.enterProject()
	var calls []func()
	for _, c := range w.e.job.Cache {
		calls = append(calls,
			func() { w.notice("Checking cache for %s...", c.Key) },
			w.tolerated("Failed to extract cache", "gitlab-runner", "cache-extractor", "--file", w.cacheFile(c.Key), "--timeout", "10"))
	}
	w.guarded("Extracting cache", calls...)
}

func (w writer) archiveCache(failed bool) {
	w.enterProject()
	var calls []func()
	for _, c := range w.e.job.Cache {
		if !whenMatches(c.When, failed) {
			continue
		}
		argv := []string{"gitlab-runner", "cache-archiver", "--file", w.cacheFile(c.Key), "--timeout", "10"}
		for _, p := range c.Paths {
			argv = append(argv, "--path", p)
		}
		env := path.Join(w.dirs.temp(), "gitlab_runner_cache_env")
		calls = append(calls,
			func() { w.notice("Creating cache %s...", c.Key) },
			func() {
				w.line("echo %s > %s", w.quote(fmt.Sprintf("CACHE_METADATA={%q:%q}", "cachekey", c.Key)), doubleQuote(env))
			},
			w.tolerated("Failed to create cache", append(argv, "--env-file", env)...),
			func() { w.line("rm -f %s", doubleQuote(env)) })
	}
	w.guarded("Creating cache", calls...)
}

func (w writer) downloadArtifacts() {
	w.enterProject()
	var calls []func()
	for _, d := range w.e.job.Dependencies {
		calls = append(calls,
			func() { w.notice("Downloading artifacts for %s (%d)...", d.Name, d.ID) },
			func() {
				w.command("gitlab-runner", "artifacts-downloader", "--url", w.e.job.ServerURL, "--token", d.Token, "--id", strconv.FormatInt(d.ID, 10))
			})
	}
	w.guarded("Artifacts downloading", calls...)
}

func (w writer) uploadArtifacts(failed bool) {
	w.enterProject()
	var calls []func()
	for _, a := range w.e.job.Artifacts {
		if !whenMatches(a.When, failed) {
			continue
		}
		argv := []string{"gitlab-runner", "artifacts-uploader", "--url", w.e.job.ServerURL, "--token", w.e.job.Token, "--id", strconv.FormatInt(w.e.job.ID, 10)}
		for _, p := range a.Paths {
			argv = append(argv, "--path", p)
		}
		argv = append(argv, "--artifact-format", "zip", "--artifact-type", "archive")
		if a.Name != "" {
			argv = append(argv, "--name", a.Name)
		}
		calls = append(calls, func() { w.notice("Uploading artifacts...") }, func() { w.command(argv...) })
	}
	w.guarded("Uploading artifacts", calls...)
}
