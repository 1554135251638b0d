package fakerunner

import (
	"net/url"
	"path"
	"strconv"
)

// gitConfigName is the file next to the project that holds the job token, as an
// insteadOf address, so that it is in neither the remote's URL nor .git/config.
const gitConfigName = ".gitlab-runner.ext.conf"

func (w writer) getSources() {
	w.export(w.vs, w.dirs.temp())
	w.sourceEnv(w.dirs.temp())
	w.hook(w.e.runner.PreGetSources)
	switch strategy := w.e.job.value("GIT_STRATEGY"); strategy {
	case "none", "empty":
		w.notice("Skipping Git repository setup")
		w.makeProject(strategy == "empty")
	default:
		w.fetch(strategy == "clone")
		w.checkout()
		w.submodules()
	}
	w.hook(w.e.runner.PostGetSources)
}

func (w writer) hook(script string) {
	if script != "" {
		w.line("%s", script)
		w.checked()
	}
}

func (w writer) makeProject(empty bool) {
	if empty {
		w.removeProject()
	}
	w.line("mkdir -p %s", doubleQuote(w.dirs.project))
	w.line("cd %s", doubleQuote(w.dirs.project))
}

// removeProject also removes directories that their owner cannot write.
func (w writer) removeProject() {
	project := doubleQuote(w.dirs.project)
	w.line("if [ -d %s ]; then chmod -R u+rwX %s; fi", project, project)
	w.line("rm -r -f %s", project)
	w.checked()
}

// fetch makes or cleans the repository and gets the job's refs.
func (w writer) fetch(fresh bool) {
	project, remote, gitDir := doubleQuote(w.dirs.project), w.remote(), doubleQuote(w.dirs.project+"/.git")
	if fresh {
		w.removeProject()
	}
	w.notice("Fetching changes%s...", w.depthWords())
	w.line("rm -f %s/config %s/index.lock %s/shallow.lock %s/HEAD.lock", gitDir, gitDir, gitDir, gitDir)
	w.line("rm -rf %s/hooks", gitDir)
	w.gitConfig()
	w.line("git init --quiet %s --template %s", project, doubleQuote(path.Join(w.dirs.temp(), "git-template")))
	w.checked()
	w.line("cd %s", project)
	w.line("if git remote add origin %s >/dev/null 2>/dev/null; then", w.quote(remote))
	w.line("  echo 'Created fresh repository.'")
	w.line("else")
	w.line("  git remote set-url origin %s", w.quote(remote))
	w.line("fi")
	w.line("git config include.path %s", doubleQuote(path.Join(w.dirs.temp(), gitConfigName)))
	argv := []string{"git", "-c", "http.userAgent=gitlab-runner " + version + " linux/amd64", "fetch", "origin", "--no-recurse-submodules"}
	argv = append(argv, w.e.job.Git.Refspecs...)
	if d := w.e.job.depth(); d > 0 {
		argv = append(argv, "--depth", strconv.Itoa(d))
	}
	w.command(append(argv, "--prune", "--quiet")...)
}

// gitConfig writes the credentials and the server's CA where only the job's
// own git looks.
func (w writer) gitConfig() {
	template, conf := path.Join(w.dirs.temp(), "git-template"), doubleQuote(path.Join(w.dirs.temp(), gitConfigName))
	w.line("mkdir -p %s", doubleQuote(template))
	w.line("rm -f %s", conf)
	w.line("git config -f %s fetch.recurseSubmodules false", conf)
	w.line("git config -f %s credential.interactive never", conf)
	w.line("git config -f %s gc.autoDetach false", conf)
	if u, err := url.Parse(w.e.job.Git.RepoURL); err == nil && u.Host != "" {
		bare := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
		u.Path = ""
		w.line("git config -f %s %s %s", conf, w.quote("url."+u.String()+".insteadOf"), w.quote(bare))
	}
	if w.e.runner.ServerCA != "" {
		w.line("git config -f %s http.sslCAInfo %s", conf, doubleQuote(path.Join(w.dirs.temp(), "CI_SERVER_TLS_CA_FILE")))
	}
}

// remote is the repository's address without the token.
func (w writer) remote() string {
	u, err := url.Parse(w.e.job.Git.RepoURL)
	if err != nil {
		return w.e.job.Git.RepoURL
	}
	u.User = nil
	return u.String()
}

func (w writer) checkout() {
	g := w.e.job.Git
	if w.e.job.value("GIT_CHECKOUT") == "false" {
		w.notice("Skipping Git checkout")
		return
	}
	w.notice("Checking out %.8s as detached HEAD (ref is %s)...", g.SHA, g.Ref)
	w.command("git", "checkout", "-f", "-q", g.SHA)
	w.command("git", "clean", "-ffdx")
	w.largeFiles("git", "lfs", "pull")
}

// largeFiles runs a command of Git LFS where it is installed.
func (w writer) largeFiles(argv ...string) {
	w.line("if git lfs version >/dev/null 2>/dev/null; then")
	w.command(argv...)
	w.line("fi")
}

func (w writer) submodules() {
	var recursive []string
	switch w.e.job.value("GIT_SUBMODULE_STRATEGY") {
	case "normal":
		w.notice("Updating/initializing submodules...")
	case "recursive":
		w.notice("Updating/initializing submodules recursively...")
		recursive = []string{"--recursive"}
	default:
		w.notice("Skipping Git submodules setup")
		return
	}
	w.command("git", "submodule", "init")
	w.command(append([]string{"git", "submodule", "sync"}, recursive...)...)
	// A submodule has a configuration of its own, without the job's credentials.
	own := "include.path=" + path.Join(w.dirs.temp(), gitConfigName)
	w.command(append([]string{"git", "-c", own, "submodule", "update", "--init"}, recursive...)...)
	w.largeFiles(append(append([]string{"git", "-c", own, "submodule", "foreach"}, recursive...), "git lfs pull")...)
}

func (w writer) depthWords() string {
	if d := w.e.job.depth(); d > 0 {
		return " with git depth set to " + strconv.Itoa(d)
	}
	return ""
}

// clearWorktree prepares a second try of get_sources.
func (w writer) clearWorktree() {
	w.line("if [ -d %s ]; then", doubleQuote(w.dirs.project))
	w.line("  cd %s", doubleQuote(w.dirs.project))
	w.line("  find . -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +")
	w.line("fi")
}
