package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"strings"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
)

// demonstration creates the jobs. The toolchain is the directory of the go
// command.
type demonstration struct {
	site      *site.Site
	repo      *gitlab.Repository
	toolchain string
}

// job is a job of the repository with a Go toolchain that works offline and
// keeps all its files below the build directory.
func (d demonstration) job(name string, script ...string) fakerunner.Job {
	j := site.WithSources(d.site.Job(script...), d.repo)
	j.Name = name
	j.Project = fakerunner.Project{ID: 31, FullPath: d.repo.Path, NamespaceID: 5}
	for _, v := range [][2]string{
		{"PATH", d.site.Helper + ":" + d.toolchain + ":/usr/local/bin:/usr/bin:/bin"},
		{"GOCACHE", "$CI_PROJECT_DIR/.go/cache"},
		{"GOPATH", "$CI_PROJECT_DIR/.go/path"},
		{"GOMODCACHE", "$CI_PROJECT_DIR/.go/mod"},
		{"GOFLAGS", "-buildvcs=false"},
		{"GOPROXY", "off"},
		{"GOTOOLCHAIN", "local"},
		{"CGO_ENABLED", "0"},
	} {
		j = site.WithVariable(j, v[0], v[1])
	}
	j.Cache = []fakerunner.Cache{{Key: "go-build", Paths: []string{".go/cache"}}}
	return d.site.WithClaims(j, d.site.GitLab.Claims(j, d.site.User))
}

func (d demonstration) build() fakerunner.Job {
	j := d.job("build", "id -un", "go version", "go build ./internal/job", "mkdir out", "go test -c -o out/job.test ./internal/job")
	j.Artifacts = []fakerunner.Artifact{{Name: "tests", Paths: []string{"out"}}}
	return j
}

// test goes through every stage that a job can have.
func (d demonstration) test(build fakerunner.Job) fakerunner.Job {
	j := d.job("test", "id -un", "git log -1 --format='%h %s'", "go build ./internal/job && go test ./internal/job", "ls out", "uname -sr > report.txt")
	j.AfterScript = []string{`echo "the job's status is $CI_JOB_STATUS"`}
	j.Artifacts = []fakerunner.Artifact{{Name: "report", Paths: []string{"report.txt"}}}
	j.Dependencies = []fakerunner.Dependency{{ID: build.ID, Name: build.Name, Token: build.Token}}
	return j
}

// stages are the calls that the second job must have had.
const stages = "config prepare prepare_script get_sources restore_cache download_artifacts build_script after_script " +
	"archive_cache upload_artifacts_on_success cleanup_file_variables cleanup"

// verify checks more than the log: a stage without an effect is a failure.
func (d demonstration) verify(j fakerunner.Job, r fakerunner.Result) error {
	if got := strings.Join(r.Stages(), " "); got != stages {
		return fmt.Errorf("the stages were %s", got)
	}
	script, _ := r.Call("build_script")
	if want := "\n" + d.site.Account.Name + "\n"; !strings.Contains(string(script.Stdout), want) {
		return fmt.Errorf("the job did not run as %s", d.site.Account.Name)
	}
	if os.Geteuid() == 0 && d.site.Account.UID == 0 {
		return fmt.Errorf("the job ran as root")
	}
	if strings.Contains(r.Trace, "Missing gitlab-runner") || strings.Contains(r.Trace, "Failed to") {
		return fmt.Errorf("a cache or artifact was not transferred")
	}
	archive := d.site.GitLab.Artifacts(j.ID)
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil || len(z.File) != 1 || z.File[0].Name != "report.txt" {
		return fmt.Errorf("the report did not arrive in GitLab (%v)", err)
	}
	return nil
}
