package containers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/site"
)

// inOneFile is Podman on a site that stores images in squashfs files.
func inOneFile() engine {
	e := engines()[0]
	e.need, e.unlike = needFUSE, map[string]string{"dash without the flag": hiddenShell}
	return e
}

func squashfs(c site.Config) { c.Set("container", "cache_form", "squashfs") }

// The contract of all engines holds for Podman with images in files: an image is fetched
// once, and one file is what is kept of it.
func TestPodmanInOneFile(t *testing.T) {
	for _, x := range executors()[:2] {
		t.Run(x.name, func(t *testing.T) {
			r := openRig(t, inOneFile(), x, squashfs)
			r.brief = testing.Short()
			r.contract(t)
			if found, err := filepath.Glob(r.cacheDir() + "/*/*"); err != nil || len(found) == 0 || !slices.Equal(found, r.files(t)) {
				t.Errorf("the images are more than files: %q, %v", found, err)
			}
		})
	}
}

// Pull policies, and an image in a file that another place has, are as with layers.
func TestPodmanWithFiles(t *testing.T) {
	e := inOneFile()
	dir := theWorld(t).meetingPlace(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := openRig(t, e, onShell, squashfs, func(c site.Config) { c.Set("container", "local_images", []string{dir + "/*"}) })
	play := func(image, policy string, texts ...string) {
		t.Helper()
		j := r.site.Job("echo image has ${FROM_IMAGE:-nothing}; echo new >/etc/motd; cut -d: -f1 /etc/passwd | tr '\\n' ' '; exit 7")
		if j.Image, j.Bare = image, true; policy != "" {
			j.ImagePullPolicy = []string{policy}
		}
		site.Want(t, r.run(t, j), fakerunner.ScriptFailure, 7, append(texts, "image has yes", "root app nobody")...)
	}
	image := r.own.Copy(r.all["bb:1"], "in-one-file", "")
	play(image, "if-not-present", "pulling")
	before := r.own.Requests("/v2/in-one-file/")
	play(image, "if-not-present", "present")
	if n := r.own.Requests("/v2/in-one-file/"); n != before {
		t.Errorf("%d requests for an image that is there", n-before)
	}
	r.reconfigure(t, func(c site.Config) {
		c.Set("container", "allowed_pull_policies", []string{"always", "if-not-present"})
	})
	play(image, "always", "unchanged")

	files := r.files(t)
	if len(files) != 1 {
		t.Fatalf("%q", files)
	}
	text, err := os.ReadFile(files[0])
	if err != nil || !strings.HasPrefix(string(text), "hsqs") {
		t.Fatalf("%s is no squashfs file: %v", files[0], err)
	}
	path := filepath.Join(dir, "copy.sqfs")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	play(path, "", path)
}

// The login for a registry reaches the engine that packs the image.
func TestPodmanInOneFileWithLogin(t *testing.T) {
	r := openRig(t, inOneFile(), onShell, squashfs)
	for _, tt := range []struct { // in this order: the image that the second one fetches is there for others
		name    string
		change  func(*fakerunner.Job)
		outcome fakerunner.Outcome
		code    int
	}{
		{"without", func(*fakerunner.Job) {}, fakerunner.ScriptFailure, 1},
		{"with", func(j *fakerunner.Job) { j.Logins = []fakerunner.Login{r.login()} }, fakerunner.Success, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := r.site.Job("echo ran $((6*7))")
			j.Image, j.Bare = r.real.Host+"/bb:1", true
			tt.change(&j)
			site.Want(t, r.run(t, j), tt.outcome, tt.code)
		})
	}
}

// login is GitLab's for the registry that requires one.
func (r *rig) login() fakerunner.Login {
	return fakerunner.Login{Registry: r.real.Host, User: images.User, Password: images.Password}
}
