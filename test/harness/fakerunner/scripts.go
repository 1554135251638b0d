package fakerunner

import (
	"path"
	"strconv"
	"strings"
)

// script returns the runner's script for a sub-stage: the bytes that a test gave, or
// those that the runner would write.
func (e *Execution) script(t *try, stage string) []byte {
	if raw, ok := e.job.Raw[stage]; ok {
		return raw
	}
	vs := e.variables()
	on := func(key string) bool {
		v, _ := vs.lookup(key)
		on, err := strconv.ParseBool(v.Value)
		return err == nil && on
	}
	s := &shellText{posix: on("FF_POSIXLY_CORRECT_ESCAPES"), check: on("FF_ENABLE_BASH_EXIT_CODE_CHECK")}
	w := writer{shellText: s, e: e, vs: vs, dirs: e.dirs.absolute()}
	w.stage(stage)
	return s.wrap(t.shell, on("FF_USE_LEGACY_BASH_EVAL"), on("CI_DEBUG_TRACE"))
}

// absolute puts a relative builds_dir below the directory that the driver
// gives to the shell.
func (d dirs) absolute() dirs {
	fix := func(p string) string {
		if path.IsAbs(p) {
			return p
		}
		return "$PWD/" + p
	}
	return dirs{builds: fix(d.builds), cache: fix(d.cache), project: fix(d.project)}
}

// writer writes the body of one sub-stage.
type writer struct {
	*shellText
	e    *Execution
	vs   variables
	dirs dirs
}

func (w writer) stage(stage string) {
	switch stage {
	case "prepare_script":
		w.prepareScript()
	case "get_sources":
		w.getSources()
	case "clear_worktree":
		w.clearWorktree()
	case "restore_cache":
		w.restoreCache()
	case "download_artifacts":
		w.downloadArtifacts()
	case "build_script":
		w.user(w.e.runner.PreBuild, w.e.job.Script, w.e.runner.PostBuild)
	case "after_script":
		w.notice("Running after script...")
		w.user("", w.e.job.AfterScript, "")
	case "archive_cache", "archive_cache_on_failure":
		w.archiveCache(stage != "archive_cache")
	case "upload_artifacts_on_success", "upload_artifacts_on_failure":
		w.uploadArtifacts(stage == "upload_artifacts_on_failure")
	case "cleanup_file_variables":
		w.cleanupFileVariables()
	default:
		w.user("", w.e.step(strings.TrimPrefix(stage, "step_")), "")
	}
}

func (e *Execution) step(name string) []string {
	for _, s := range e.job.Steps {
		if s.Name == name {
			return s.Script
		}
	}
	return nil
}

// prepareScript exports no variables.
func (w writer) prepareScript() {
	via := "fakerunner"
	if h := w.e.hostname(); h != "" {
		via = h
	}
	w.line(`echo "Running on $(hostname) via %s..."`, via)
	w.line("rm -f %s", doubleQuote(envFile(w.dirs.temp())))
	w.line("rm -f %s", doubleQuote(path.Join(w.dirs.temp(), "masking.db")))
}

func (e *Execution) hostname() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.config.Hostname
}

// enterProject defines the variables and goes to the project directory.
func (w writer) enterProject() {
	w.export(w.vs, w.dirs.temp())
	w.sourceEnv(w.dirs.temp())
	w.line("cd %s", doubleQuote(w.dirs.project))
	w.checked()
}

// user is a script of the job's author: each command is shown before it runs.
func (w writer) user(before string, commands []string, after string) {
	w.enterProject()
	all := append([]string{before}, commands...)
	for _, c := range append(all, after) {
		if strings.TrimSpace(c) == "" {
			continue
		}
		first, _, more := strings.Cut(c, "\n")
		if more {
			first += " # collapsed multi-line command"
		}
		w.notice("$ %s", first)
		w.line("%s", c)
		w.checked()
	}
}

func (w writer) cleanupFileVariables() {
	for _, v := range w.vs {
		if v.File {
			w.line("rm -f %s", doubleQuote(path.Join(w.dirs.temp(), v.Key)))
		}
	}
	w.line("rm -f %s", doubleQuote(envFile(w.dirs.temp())))
	w.line("rm -f %s", doubleQuote(path.Join(w.dirs.temp(), gitConfigName)))
}
