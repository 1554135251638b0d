package containers

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/site"
)

// An answer without an end is bounded by container.pull_timeout.
func TestEndlessAnswers(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for name, f := range map[string]images.Fault{"layer": images.EndlessLayer, "manifest": images.EndlessManifest} {
			t.Run(name, func(t *testing.T) {
				if r.engine.name == "apptainer" && (*realName == "") == (name == "manifest") {
					t.Skipf("it reads no further than the end of the %s", name)
				}
				j := r.plain("bb:1")
				j.Image = r.own.Copy(r.all["bb:1"], "endless/"+r.engine.name+"/"+name, f)
				r.refuses(t, j, fakerunner.SystemFailure, 0, " the image "+j.Image)
			})
		}
	}, func(c site.Config) { c.Set("container", "pull_timeout", "4s") })
}

// A configuration that cannot be used, an image without any file, and links that lead out
// of the image.
func TestOddImages(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		t.Run("configuration", func(t *testing.T) {
			r.failsWith(t, r.plain("badconfig:1"), r.oddOutcome(), "badconfig:1")
		})
		t.Run("no layers", func(t *testing.T) {
			r.failsWith(t, r.plain("nolayers:1"), fakerunner.ScriptFailure)
		})
		t.Run("climbing link", func(t *testing.T) {
			j := r.job("climbing:1", "head -n 1 /climbing; cat /climbing | wc -l; echo ran $((6*7))")
			j.Bare = true
			if r.engine.name == "charliecloud" {
				r.refuses(t, j, fakerunner.ScriptFailure, 1, "climbing")
				return
			}
			site.Want(t, r.run(t, j), fakerunner.Success, 0, "root:x:0:0:root:/root:/bin/sh\n", "\n3\n")
		})
	})
}

// oddOutcome is that of a configuration with a number for an object, at which ch-image
// fails as if it had a fault of its own.
func (r *rig) oddOutcome() fakerunner.Outcome { return outcomeOf(r.engine.name == "charliecloud") }

// A program with set-id bits gives nothing to the job, and no other account reaches it
// among the images that are kept.
func TestSetIDFiles(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		j := r.job("setid:1", "echo ids $(/ids -u) $(/of-others -u)")
		j.Bare, j.ImageUser = true, "app"
		site.Want(t, r.run(t, j), fakerunner.Success, 0, "ids 1000 1000")
		other, err := site.LookupAccount(r.site.Accounts.Bob)
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(r.cacheDir(), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.Type()&fs.ModeType != 0 {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 && runsAs(other, path) {
				t.Errorf("%s can run %s (%v)", other.Name, path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// runsAs reports whether an account can run a program.
func runsAs(a site.Account, path string) bool {
	cmd := exec.Command("test", "-x", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID}}
	return cmd.Run() == nil
}

// A layer of very many files is fetched, used and removed.
func TestManyFiles(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		count := 200_000
		if testing.Short() {
			count = 2_000
		}
		many, err := images.Many(count)
		if err != nil {
			t.Fatal(err)
		}
		j := r.job("bb:1", "ls /many/* | grep -c ^f; echo text >/many/0/f0; rm -r /many/1")
		j.Image, j.Bare = r.own.Copy(many, "many-files/"+r.engine.name, ""), true
		site.Want(t, r.run(t, j), fakerunner.Success, 0)
		r.age(t)
		begun := time.Now()
		var left []string
		for range 20 { // each cleanup has a time for it, and the next one continues
			site.Want(t, r.run(t, r.plain("entry:1")), fakerunner.Success, 0, "ran 42")
			gone, err := filepath.Glob(r.cacheDir() + "/*.gone")
			if err != nil {
				t.Fatal(err)
			}
			if left = append(r.images(t), gone...); len(left) == 1 {
				break
			}
		}
		t.Logf("%d files were removed in %v", count, time.Since(begun))
		if len(left) != 1 {
			t.Errorf("left: %v", left)
		}
	})
}

// TestImageWritesNothingOnTheHost: K26, a layer whose links lead out of the image while it is
// unpacked, with every engine.
func TestImageWritesNothingOnTheHost(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			r := openRig(t, e, onShell)
			home := r.site.Account.Home
			out, err := images.Image{Name: "escape:1", Layers: [][]images.File{{
				{Path: "bin/sh", Mode: 0o755, Data: []byte("#!")},
				{Path: "d", Mode: 0o777, Link: "."},
				{Path: strings.Repeat("d/", 12) + "l", Mode: 0o777, Link: strings.Repeat("../", 12) + home[1:]},
				{Path: "d/l/escaped", Mode: 0o755, Data: []byte("from an image")},
				{Path: "d/l/.jacamar-ci/escaped", Mode: 0o755, Data: []byte("from an image")},
			}}}.Pack()
			if err != nil {
				t.Fatal(err)
			}
			j := r.job("bb:1", "echo ran")
			j.Image, j.Bare = r.own.Copy(out, "escape/"+r.engine.name, ""), true
			result := r.run(t, j)
			for _, file := range []string{"escaped", ".jacamar-ci/escaped"} {
				file = filepath.Join(home, file)
				if _, err := os.Lstat(file); err == nil {
					t.Errorf("the image has written %s: %s %s", file, result.Outcome, result.Trace)
					_ = os.Remove(file)
				}
			}
			site.Want(t, r.run(t, r.plain("entry:1")), fakerunner.Success, 0, "ran 42")
		})
	}
}
