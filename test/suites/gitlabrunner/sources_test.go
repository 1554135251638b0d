package gitlabrunner_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// repositories are those of the site's GitLab: this one, and one that has
// submodules, large files and a history.
type repositories struct{ own, parts *gitlab.Repository }

func addRepositories(t *testing.T, s *site.Site) repositories {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/bin/git": "git", "/usr/bin/git-lfs": "git-lfs"})
	add := func(path, dir string) *gitlab.Repository {
		repo, err := s.GitLab.AddRepository(path, dir)
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
	large := []byte(strings.Repeat("large\n", 1000))
	oid := fmt.Sprintf("%x", sha256.Sum256(large))
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(large))
	attributes := "*.bin filter=lfs diff=lfs merge=lfs -text\n"
	library := repository(t, map[string]string{"library.txt": "a library\n", "data.bin": pointer, ".gitattributes": attributes})
	add("group/library", library).AddLargeFile(oid, large)
	parts := repository(t, map[string]string{
		"README": "first\n", "data.bin": pointer, ".gitattributes": attributes,
		".gitmodules": "[submodule \"library\"]\n\tpath = library\n\turl = ../library.git\n",
	})
	git(t, parts, "update-index", "--add", "--cacheinfo", "160000,"+git(t, library, "rev-parse", "HEAD")+",library")
	git(t, parts, "commit", "-q", "-m", "Use the library")
	repos := repositories{own: add("group/project", "../../.."), parts: add("group/parts", parts)}
	if err := repos.parts.AddLargeFile(oid, large); err != nil {
		t.Fatal(err)
	}
	return repos
}

// repository makes one of these files, of one commit. Git LFS does not look at it.
func repository(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-q", "-m", "Add files")
	return dir
}

func git(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=tester", "-c", "user.email=t@example.org"}, argv...)...)
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", argv, err, out)
	}
	return strings.TrimSpace(string(out))
}

// checkout is a job with the sources of group/parts and these variables.
func checkout(variables map[string]string, script ...string) func(*site.Site, repositories) fakerunner.Job {
	return func(s *site.Site, repos repositories) fakerunner.Job {
		j := site.WithSources(s.Job(script...), repos.parts)
		// Each test's GitLab has another port, and a submodule's clone keeps it.
		j = site.WithVariable(j, "GIT_STRATEGY", "clone")
		for key, value := range variables {
			j = site.WithVariable(j, key, value)
		}
		return s.WithClaims(j, s.GitLab.Claims(j, s.User))
	}
}

const isLarge = "test $(wc -c <data.bin) -eq 6000"

// sources are the ways to get sources. The one with GIT_STRATEGY fetch finds the files of
// the one before it, and the one with none finds the files of that.
var sources = []scenario{
	{name: "submodules and large files", job: checkout(map[string]string{"GIT_SUBMODULE_STRATEGY": "recursive"},
		isLarge, "cat library/library.txt", "cd library && "+isLarge, "git rev-parse HEAD"), outcome: fakerunner.Success, shows: []string{"a library"}, submodules: true},
	{name: "without submodules", job: checkout(nil, isLarge, "test ! -e library/library.txt"), outcome: fakerunner.Success},
	{name: "shallow", job: checkout(map[string]string{"GIT_DEPTH": "1"}, "test $(git rev-list --count HEAD) -eq 1", "touch mine .git/kept"), outcome: fakerunner.Success},
	{name: "GIT_STRATEGY fetch", job: checkout(map[string]string{"GIT_STRATEGY": "fetch", "GIT_DEPTH": "1"},
		"test ! -e mine", "test -e .git/kept", isLarge, "touch mine"), outcome: fakerunner.Success},
	{name: "GIT_STRATEGY none", job: checkout(map[string]string{"GIT_STRATEGY": "none"}, "test -e mine", "test -e README"), outcome: fakerunner.Success},
	{name: "GIT_STRATEGY empty", job: checkout(map[string]string{"GIT_STRATEGY": "empty"}, "ls -A", "test -z \"$(ls -A)\"", "touch mine"), outcome: fakerunner.Success},
	{name: "GIT_STRATEGY empty again", job: checkout(map[string]string{"GIT_STRATEGY": "empty"}, "test -z \"$(ls -A)\""), outcome: fakerunner.Success},
}
