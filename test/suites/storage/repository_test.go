package storage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// run runs a command in a directory, with no configuration of its caller's.
func run(t testing.TB, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8", "GIT_CONFIG_NOSYSTEM=1", "HGUSER=tester",
		"GIT_AUTHOR_NAME=tester", "GIT_AUTHOR_EMAIL=t@example.org", "GIT_COMMITTER_NAME=tester", "GIT_COMMITTER_EMAIL=t@example.org",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return strings.TrimSpace(string(out))
}

// repository makes a git repository of these files, of one commit.
func repository(t testing.TB, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	run(t, dir, "git", "init", "-q", "-b", "main")
	for name, text := range files {
		testutil.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	run(t, dir, "git", "add", ".")
	run(t, dir, "git", "commit", "-q", "-m", "Add files")
	return dir
}

// wholeJob is a job with every stage: sources, a cache, artifacts
// and those of an earlier job, a file variable, after_script.
func wholeJob(t testing.TB, s *site.Site) fakerunner.Job {
	t.Helper()
	repo, err := s.GitLab.AddRepository("group/whole", repository(t, map[string]string{"README": "read me\n"}))
	testutil.Must(t, err)
	job := site.WithSources(s.Job("cat README", `echo "the note reads $(cat "$NOTE")"`, "mkdir -p kept made", "date > kept/one", "echo 2 > made/two"), repo)
	job = site.WithVariable(job, "PATH", s.Helper+":/usr/local/bin:/usr/bin:/bin")
	job.Variables = append(job.Variables, fakerunner.Variable{Key: "NOTE", Value: "hello", File: true})
	job.AfterScript = []string{"test -f made/two && echo tidied up"}
	job.Cache = []fakerunner.Cache{{Key: "k", Paths: []string{"kept"}}}
	job.Artifacts = []fakerunner.Artifact{{Name: "result", Paths: []string{"made"}}}
	return s.WithClaims(job, s.GitLab.Claims(job, s.User))
}
