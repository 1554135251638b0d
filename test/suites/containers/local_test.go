package containers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/site"
)

// unpack writes the layers of an image below dir.
func unpack(t *testing.T, p images.Packed, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, blob := range p.Blobs {
		cmd := exec.Command("tar", "-C", dir, "-xzf", "-")
		if cmd.Stdin = bytes.NewReader(blob.Data); bytes.HasPrefix(blob.Data, []byte("{")) {
			continue // the configuration
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

// files are the files of images that the engine has fetched, empty for one that keeps
// layers.
func (r *rig) files(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(r.cacheDir() + "/*/file")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// localImages are the images of a test as paths below a directory of root's: by how they
// are named.
func (r *rig) localImages(t *testing.T, dir string) (runnable []string) {
	t.Helper()
	if r.engine.name != "apptainer" || *realName == "apptainer" { // its imitation runs files only
		runnable = append(runnable, filepath.Join(dir, "root"))
		unpack(t, r.all["bb:1"], runnable[0])
	}
	if r.engine.name == "podman" {
		return runnable
	}
	j := r.job("bb:1", "echo ran $((6*7))")
	j.Bare = true
	site.Want(t, r.run(t, j), fakerunner.Success, 0, "ran 42")
	for _, file := range r.files(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		runnable = append(runnable, path)
	}
	return runnable
}

// An image that is a path runs where it is, and stays as it is. Paths that the site does
// not allow, that lead to others, that others can change or that are no images end the job
// before its script.
func TestLocalImages(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		dir, err := os.MkdirTemp("/srv", "jacamar-images-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		allowed := filepath.Join(dir, "allowed")
		if err := os.Mkdir(allowed, 0o755); err != nil {
			t.Fatal(err)
		}
		r.reconfigure(t, func(c site.Config) { c.Set("container", "local_images", []string{allowed + "/**"}) })
		play := func(image, script string) fakerunner.Result {
			j := r.site.Job(script)
			j.Image, j.Bare = image, true
			return r.run(t, j)
		}
		runnable := r.localImages(t, allowed)
		for _, image := range runnable {
			for range 2 {
				site.Want(t, play(image, "cut -d: -f1 /etc/passwd | tr '\\n' ' '; echo; ls /left || echo fresh; echo text >/left; echo text >made; exit 7"),
					fakerunner.ScriptFailure, 7, "root app nobody", "\nfresh\n", "Image "+image)
			}
		}
		r.refusedPaths(t, dir, allowed, runnable[0], play)
	})
}

func (r *rig) refusedPaths(t *testing.T, dir, allowed, good string, play func(string, string) fakerunner.Result) {
	t.Helper()
	other := filepath.Join(dir, "other")
	make := func(name string, mode os.FileMode, text string) string {
		path := filepath.Join(allowed, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(allowed, "link")
	if err := os.Rename(good, other); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(allowed, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ image, text string }{
		"not allowed":         {other, "not allowed"},
		"leads out":           {link, "its symbolic links lead to " + other},
		"dots":                {allowed + "/../other", ".."},
		"missing":             {allowed + "/missing", "cannot use the image"},
		"others can write it": {open, "others can change it"},
		"archive":             {make("archive.tar", 0o644, fmt.Sprintf("%-257sustar", "x")), "archive"},
		"text":                {make("text.sif", 0o644, "text"), "neither"},
		"empty":               {make("empty", 0o644, ""), "neither"},
		"unreadable":          {make("private", 0o600, "hsqs"), "cannot use the image"},
		"colon":               {make("a:b", 0o644, "hsqs"), "colon"},
	} {
		if testing.Short() && !slices.Contains([]string{"not allowed", "leads out", "others can write it"}, name) {
			continue // the tests of package imagestore have them
		}
		result := play(tt.image, "echo ran $((6*7))")
		t.Run(name, func(t *testing.T) { site.Want(t, result, fakerunner.ScriptFailure, 1, tt.text) })
	}
	if r.engine.name == "podman" {
		site.Want(t, play(make("file.sqfs", 0o644, "hsqs"), "true"), fakerunner.ScriptFailure, 1, "does not run the form squashfs")
	}
}
