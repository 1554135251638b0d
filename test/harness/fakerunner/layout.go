package fakerunner

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// dirs are the directories of a job; empty until the first config stage ended.
type dirs struct{ builds, cache, project string }

// temp is the sibling of the project directory that holds file variables, the
// git configuration and GITLAB_ENV.
func (d dirs) temp() string { return d.project + ".tmp" }

// layout sets the directories after the config stage.
func (e *Execution) layout(c ConfigOutput) (dirs, error) {
	d := dirs{builds: e.runner.BuildsDir, cache: e.runner.CacheDir}
	if c.BuildsDir != nil {
		d.builds = *c.BuildsDir
	}
	if c.CacheDir != nil {
		d.cache = *c.CacheDir
	}
	if d.builds == "" {
		return dirs{}, &BuildError{Text: "the builds_dir is not configured"}
	}
	if d.cache == "" {
		return dirs{}, &BuildError{Text: "the cache_dir is not configured"}
	}
	if clone := e.job.value("GIT_CLONE_PATH"); clone != "" {
		if !e.runner.CustomBuildDir {
			return dirs{}, &BuildError{Text: "setting GIT_CLONE_PATH is not allowed, enable `custom_build_dir` feature"}
		}
		return d.moved(os.Expand(clone, func(key string) string {
			if key == "CI_BUILDS_DIR" {
				return d.builds
			}
			return e.job.value(key)
		}))
	}
	d.project = path.Join(d.builds, e.shared(c), e.slug())
	if e.job.value("GIT_STRATEGY") == "empty" {
		d.project += "-empty"
	}
	return d, nil
}

// moved puts the project where a job wants it: within the builds_dir, which it may be.
func (d dirs) moved(clone string) (dirs, error) {
	below, err := filepath.Rel(d.builds, clone)
	if err != nil || strings.HasPrefix(below, "..") {
		return dirs{}, &BuildError{Text: fmt.Sprintf("the GIT_CLONE_PATH=%q has to be within %q", clone, d.builds)}
	}
	d.project = path.Clean(clone)
	return d, nil
}

func (e *Execution) shared(c ConfigOutput) string {
	if !c.BuildsDirIsShared {
		return ""
	}
	return path.Join(e.runner.ShortToken, strconv.Itoa(e.projectSlot))
}

// slug is the project's part of the path, taken from the repository's address.
func (e *Execution) slug() string {
	u, err := url.Parse(e.job.Git.RepoURL)
	if err == nil {
		slug := strings.Trim(strings.TrimSuffix(u.Path, ".git"), "/")
		if slug != "" && !strings.Contains(slug, "..") {
			return slug
		}
	}
	return fmt.Sprintf("project-%d", e.job.Project.ID)
}
