package site

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
)

// TokenVariable is the CI variable with the job's id_token.
const TokenVariable = "SITE_ID_TOKEN"

// markVariable is in the environment of every command of a job, and distinguishes the
// processes of one site from those of another.
const markVariable = "JACAMAR_TEST_SITE"

// Site is an installation with its own configuration, state and GitLab.
type Site struct {
	// Dir holds all files of the site except the programs.
	Dir string
	// Auth, Admin and Jacamar are the programs, Helper the directory of gitlab-runner.
	Auth, Admin, Jacamar, Helper string
	// ConfigFile is the driver's configuration, StateDir its state directory.
	ConfigFile, StateDir string
	GitLab               *gitlab.Server
	// User triggers jobs, Account is the account that they run as.
	User    gitlab.User
	Account Account
	// Accounts are the accounts that only this process uses.
	Accounts Accounts

	install *Install
	// test checks each job, nil for none; settings is the
	// configuration as it was last written.
	test     *verdicts
	settings Config
	// service is the runner's account, nil for this process's own.
	service *Account
	// stateOwner is the owner of the state, nil for the runner's account.
	stateOwner *Account
	// strategy is auth.downscope where it is not the default, flags are the arguments
	// before the stage.
	strategy string
	flags    []string
}

// New sets up a site for one test, at whose end it is removed.
func New(t testing.TB, change ...func(Config)) *Site {
	t.Helper()
	install, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	s, err := install.Open(change...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	s.JudgeJobs(t)
	return s
}

// Open sets up a site.
func (i *Install) Open(change ...func(Config)) (*Site, error) {
	dir, err := os.MkdirTemp(i.Dir, "site-")
	if err != nil {
		return nil, err
	}
	s := &Site{
		Dir: dir, install: i, Accounts: i.Accounts, ConfigFile: filepath.Join(dir, "jacamar.toml"), StateDir: filepath.Join(dir, "state"),
		Auth: filepath.Join(i.Bin, "jacamar-auth"), Admin: filepath.Join(i.Bin, "jacamar-admin"), Jacamar: filepath.Join(i.Bin, "jacamar"), Helper: i.Bin,
	}
	if err := s.open(change); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *Site) open(change []func(Config)) (err error) {
	if err := s.directories(); err != nil {
		return err
	}
	if s.Account, err = s.Accounts.jobAccount(); err != nil {
		return err
	}
	s.User = gitlab.User{ID: 7, Login: s.Account.Name, Email: s.Account.Name + "@example.org"}
	if s.GitLab, err = gitlab.Start(s.Dir); err != nil {
		return err
	}
	return s.Reconfigure(change...)
}

// directories creates those of the site. State belongs to the service account.
func (s *Site) directories() error {
	err := errors.Join(os.Chmod(s.Dir, 0o755), os.Mkdir(s.StateDir, 0o700), os.Mkdir(s.temp(), 0o755))
	if os.Geteuid() != 0 {
		return errors.Join(err, os.Mkdir(s.dataDir(), 0o700))
	}
	if s.service != nil {
		err = errors.Join(err, s.serveAs(*s.service))
	}
	return err
}

// temp is the runner's TMPDIR.
func (s *Site) temp() string { return filepath.Join(s.Dir, "tmp") }

// dataDir is the base directory of jobs: the user's home, or as an ordinary user, whose
// home the tests must not change, a directory of the site.
func (s *Site) dataDir() string {
	if os.Geteuid() == 0 {
		return "$HOME"
	}
	return filepath.Join(s.Dir, "data_dir")
}

func (s *Site) downscope() string {
	if s.strategy != "" {
		return s.strategy
	}
	if os.Geteuid() == 0 {
		return "setuid"
	}
	return "none"
}

// Reconfigure writes the configuration again.
func (s *Site) Reconfigure(change ...func(Config)) error {
	c := s.config()
	for _, f := range change {
		f(c)
	}
	s.settings = c
	return c.write(s.ConfigFile)
}

// Close removes the site.
func (s *Site) Close() error {
	return errors.Join(s.GitLab.Close(), os.RemoveAll(s.Dir))
}

// Runner is a runner connected to the driver as in docs/install.md. After each of its
// jobs the test fails if files or processes of the job are left: see Aftermath.
func (s *Site) Runner() *fakerunner.Runner { return s.RunnerInside() }

// RunnerInside is Runner for a driver, and directories of jobs, in another mount
// namespace: enter is the command that enters it, with its arguments.
func (s *Site) RunnerInside(enter ...string) *fakerunner.Runner {
	r := &fakerunner.Runner{
		Custom: fakerunner.Custom{
			Config:  s.command("config", "--configuration", s.ConfigFile),
			Prepare: s.command("prepare"),
			Run:     s.command("run"),
			Cleanup: s.command("cleanup", "--configuration", s.ConfigFile),
		},
		ShortToken: "t0kenXyz1", ServerCA: s.GitLab.CA, TempRoot: s.temp(), RetryPause: -1, StagePause: -1, Longest: 10 * time.Minute,
		Environ: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"},
	}
	for _, argv := range []*[]string{&r.Custom.Config, &r.Custom.Prepare, &r.Custom.Run, &r.Custom.Cleanup} {
		*argv = slices.Concat(enter, *argv)
	}
	r.Given = s.install.builds.give
	if s.test != nil {
		r.Judge = func(result fakerunner.Result) { s.test.judge(s.Aftermath(r, result, enter...)) }
	}
	if s.service != nil {
		r.Credential = &fakerunner.Credential{UID: s.service.UID, GID: s.service.GID, Groups: s.service.Groups}
		r.Environ[1] = "HOME=" + s.service.Home
	}
	return r
}

func (s *Site) command(stage ...string) []string {
	return slices.Concat([]string{s.Auth}, s.flags, stage)
}

// Job is a job of the site's user without sources, with a valid token in
// TokenVariable.
func (s *Site) Job(script ...string) fakerunner.Job {
	id := 1000*int64(os.Getpid()) + s.install.jobs.Add(1)
	j := fakerunner.Job{
		ID: id, Name: "test", Stage: "test", Token: fmt.Sprintf("glcbt-test-%d", id), PipelineID: 4200, UserID: s.User.ID,
		Project:   fakerunner.Project{ID: 12, FullPath: "group/project", NamespaceID: 3},
		ServerURL: s.GitLab.URL, Script: script,
	}
	j.Git = fakerunner.Git{
		RepoURL: s.GitLab.URL + "/group/project.git", Ref: "main", RefType: "branch", SHA: "0123456789abcdef0123456789abcdef01234567",
	}
	j.Variables = []fakerunner.Variable{
		{Key: "CI_JOB_TOKEN", Value: j.Token, Masked: true},
		{Key: markVariable, Value: s.mark(), Public: true},
		{Key: "GIT_STRATEGY", Value: "none", Public: true},
	}
	for _, v := range [][2]string{
		{"CI", "true"},
		{"GITLAB_CI", "true"},
		{"CI_JOB_ID", fmt.Sprint(id)},
		{"CI_JOB_NAME", j.Name},
		{"CI_JOB_STAGE", j.Stage},
		{"CI_PIPELINE_ID", fmt.Sprint(j.PipelineID)},
		{"CI_PROJECT_ID", fmt.Sprint(j.Project.ID)},
		{"CI_PROJECT_PATH", j.Project.FullPath},
		{"CI_SERVER_URL", s.GitLab.URL},
		{"CI_COMMIT_SHA", j.Git.SHA},
		{"CI_COMMIT_REF_NAME", j.Git.Ref},
		{"GITLAB_USER_LOGIN", s.User.Login},
	} {
		j.Variables = append(j.Variables, fakerunner.Variable{Key: v[0], Value: v[1], Public: true})
	}
	s.GitLab.Admit(j.Token)
	return s.WithClaims(j, s.GitLab.Claims(j, s.User))
}

// WithClaims gives a job a token with these claims, instead of its own.
func (s *Site) WithClaims(j fakerunner.Job, c gitlab.Claims) fakerunner.Job {
	return WithToken(j, s.GitLab.Token(c))
}

// WithToken gives a job any text for a token. It comes first, as GitLab's own
// does; an empty one removes the variable.
func WithToken(j fakerunner.Job, token string) fakerunner.Job {
	var rest []fakerunner.Variable
	for _, v := range j.Variables {
		if v.Key != TokenVariable {
			rest = append(rest, v)
		}
	}
	j.Variables = rest
	if token != "" {
		j.Variables = append([]fakerunner.Variable{{Key: TokenVariable, Value: token, Masked: true, Raw: true}}, rest...)
	}
	return j
}

// WithVariable adds a job variable.
func WithVariable(j fakerunner.Job, key, value string) fakerunner.Job {
	j.Variables = append(append([]fakerunner.Variable{}, j.Variables...), fakerunner.Variable{Key: key, Value: value})
	return j
}

// WithSources makes a job clone a repository of the site's GitLab.
func WithSources(j fakerunner.Job, repo *gitlab.Repository) fakerunner.Job {
	j.Git = repo.Git(j.Token)
	return WithVariable(j, "GIT_STRATEGY", "fetch")
}
