package storage

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// serveHg serves a Mercurial repository of one file over http until the test is
// over, and returns its address and its newest revision.
func serveHg(t *testing.T) (address, revision string) {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "hg", "init")
	testutil.Must(t, os.WriteFile(filepath.Join(dir, "README"), []byte("read me\n"), 0o644))
	run(t, dir, "hg", "commit", "-q", "--addremove", "-m", "Add a file")
	cmd := exec.Command("hg", "serve", "--address", "127.0.0.1", "--port", "0", "--print-url")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "LANG=C.UTF-8"}
	out, err := cmd.StdoutPipe()
	testutil.Must(t, err, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address, err = bufio.NewReader(out).ReadString('\n')
	testutil.Must(t, err)
	return strings.TrimSpace(address), run(t, dir, "hg", "log", "-r", "tip", "-T", "{node}")
}

// hgSources is get_sources as Heptapod Runner, a fork of GitLab Runner, has it for
// a Mercurial project: a repository that is pulled into, and cleaned.
const hgSources = `set -eo pipefail
project="%[1]s"
mkdir -p "$project"
cd "$project"
if [ ! -d .hg ]; then hg init; fi
hg pull --quiet --rev %[3]s %[2]s
hg update --quiet --clean --rev %[3]s
hg --config extensions.purge= purge --all
`

// TestMercurial runs two jobs of a Mercurial project: one makes a clone, the other
// finds it.
func TestMercurial(t *testing.T) {
	debian.Need(t, map[string]string{"/usr/bin/hg": "mercurial"})
	s := site.New(t)
	base := dataDir(t, s)
	address, revision := serveHg(t)
	project := filepath.Join(base, "builds/t0kenXyz1/000/group/project")
	for range 2 {
		job := s.Job("hg identify --id --debug", "cat README", "test ! -e mine", "touch mine .hg/kept", `stat -c "of %U" .hg/store`)
		job.Raw = map[string][]byte{"get_sources": fmt.Appendf(nil, hgSources, project, address, revision)}
		r := s.Runner().Run(job)
		site.Want(t, r, fakerunner.Success, 0)
		site.Shows(t, r, "\n"+revision+"\n", "read me", "of "+s.Account.Name)
	}
	if _, err := os.Stat(filepath.Join(project, ".hg/kept")); os.Geteuid() == 0 && err != nil {
		t.Errorf("the clone was not used again: %v", err)
	}
}

// TestHelper: the runner's helper is in the job's PATH by a variable of the job, by the
// user's profile, or not at all: then prepare prints a warning, since the runner's own
// scripts only skip their work.
func TestHelper(t *testing.T) {
	s := site.New(t)
	dataDir(t, s)
	const missing, skipped = "gitlab-runner is not in your PATH on this machine", "Missing gitlab-runner"
	own := "/usr/local/bin:/usr/bin:/bin"
	for name, tc := range map[string]struct {
		path, profile string
		plain, found  bool
	}{
		"by the job's variable": {path: s.Helper + ":" + own, found: true},
		"by the user's profile": {profile: "export PATH=" + s.Helper + ":$PATH\n", found: true},
		"nowhere":               {profile: "true\n"},
		"not in the job's":      {path: own, profile: "export PATH=" + s.Helper + ":$PATH\n"},
		"nothing to use it for": {profile: "true\n", plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.profile != "" {
				profile(t, s, tc.profile)
			}
			job := s.Job("mkdir -p kept", "echo 1 >kept/one")
			if tc.path != "" {
				job = site.WithVariable(job, "PATH", tc.path)
			}
			if !tc.plain {
				job.Cache = []fakerunner.Cache{{Key: "k", Paths: []string{"kept"}}}
				job.Artifacts = []fakerunner.Artifact{{Paths: []string{"kept"}}}
			}
			r := s.Runner().Run(job)
			site.Want(t, r, fakerunner.Success, 0)
			if tc.found {
				site.Shows(t, r, "found 1 matching files", "201 Created")
			}
			silent := tc.found || tc.plain
			prepare, _ := r.Call("prepare")
			if strings.Contains(string(prepare.Stdout), missing) == silent || strings.Contains(r.Trace, skipped) == silent {
				t.Errorf("the log:\n%s", r.Trace)
			}
		})
	}
}
