package gitlab

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"

	"jacamar-ci/test/harness/fakerunner"
)

// Repository is a project's repository on the server.
type Repository struct {
	server *Server
	// Path is the project's full path.
	Path string
	// SHA is the commit that the branch main has.
	SHA string
}

// AddRepository serves the HEAD of a local repository, with its history, as
// the branch main of a project.
func (s *Server) AddRepository(path, source string) (*Repository, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("cannot serve repositories: git is not installed")
	}
	source, err := filepath.Abs(source)
	if err != nil {
		return nil, err
	}
	bare := s.repository(path)
	for _, argv := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", bare},
		{"-C", bare, "fetch", "--quiet", "--update-shallow", source, "+HEAD:refs/heads/main"},
		{"-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true"},
	} {
		if _, err := git(argv...); err != nil {
			return nil, err
		}
	}
	sha, err := git("-C", bare, "rev-parse", "refs/heads/main")
	return &Repository{server: s, Path: path, SHA: sha}, err
}

func (s *Server) repository(path string) string {
	return filepath.Join(s.dir, "repositories", filepath.FromSlash(path)+".git")
}

// git runs without the user's configuration; a repository of another owner is accepted
// here.
func git(argv ...string) (string, error) {
	cmd := exec.Command("git", argv...)
	cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Git is git_info for a job with that token, which may then clone.
func (r *Repository) Git(token string) fakerunner.Git {
	r.server.Admit(token)
	address := strings.Replace(r.server.URL, "https://", "https://"+url.UserPassword("gitlab-ci-token", token).String()+"@", 1)
	return fakerunner.Git{
		RepoURL: address + "/" + r.Path + ".git", Ref: "main", RefType: "branch", SHA: r.SHA,
		BeforeSHA: strings.Repeat("0", 40), Depth: 20,
		Refspecs: []string{"+" + r.SHA + ":refs/pipelines/1", "+refs/heads/main:refs/remotes/origin/main"},
	}
}

// git serves clones over smart HTTP, and large files, to clients with an admitted job token.
func (s *Server) git(w http.ResponseWriter, r *http.Request) {
	user, token, ok := r.BasicAuth()
	if !ok || user != "gitlab-ci-token" || !s.admitted(token) {
		w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
		return
	}
	if repository, rest, ok := splitLFS(r.URL.Path); ok {
		s.lfs(w, r, repository, rest)
		return
	}
	backend, err := backendPath()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := &cgi.Handler{
		Path: backend, Root: "/", Dir: s.dir,
		Env: []string{
			"GIT_PROJECT_ROOT=" + filepath.Join(s.dir, "repositories"), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1",
			"HOME=/nonexistent", "REMOTE_USER=" + user, "GIT_PROTOCOL=" + r.Header.Get("Git-Protocol"),
		},
		Stderr: discard{},
	}
	h.ServeHTTP(w, r)
}

// backendPath finds git's CGI program.
func backendPath() (string, error) {
	dir, err := git("--exec-path")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "git-http-backend"), nil
}
