package containers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/fuse"
	"jacamar-ci/test/harness/site"
)

// place makes a directory for all accounts, below which container.cache_dir and
// container.temp_dir can be. Its path is short, as container.temp_dir requires.
func place(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/srv", "jacamar-small-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := removeTree(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// command runs a program as root.
func command(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
}

// mount mounts a file system until the test ends.
func (r *rig) mount(t *testing.T, dir string, words ...string) {
	t.Helper()
	command(t, append(append([]string{"mount"}, words...), dir)...)
	r.mounted = append(r.mounted, dir)
	t.Cleanup(func() { command(t, "umount", "--lazy", dir) })
}

// storesAt makes the account keep its images below a directory.
func (r *rig) storesAt(t *testing.T, dir string, change ...func(site.Config)) {
	t.Helper()
	r.cache = filepath.Join(dir, r.site.Account.Name)
	r.reconfigure(t, append(change, func(c site.Config) { c.Set("container", "cache_dir", dir) })...)
}

// plain is a bare job that prints "ran 42".
func (r *rig) plain(image string) fakerunner.Job {
	j := r.job(image, "echo ran $((6*7))")
	j.Bare = true
	return j
}

// refuses runs a job that must fail before its script, with one line about the reason.
func (r *rig) refuses(t *testing.T, j fakerunner.Job, outcome fakerunner.Outcome, code int, texts ...string) fakerunner.Result {
	t.Helper()
	result := r.run(t, j)
	site.Want(t, result, outcome, code, texts...)
	if n := strings.Count(result.Trace, "jacamar: ERROR: "); n == 0 || outcome == fakerunner.ScriptFailure && n != 1 {
		t.Errorf("the job log has %d errors:\n%s", n, result.Trace)
	}
	for _, text := range []string{"ran 42", "goroutine ", "Traceback"} {
		if strings.Contains(result.Trace, text) {
			t.Errorf("%q is in the job log:\n%s", text, result.Trace)
		}
	}
	return result
}

// A full disk names the file system with its figures, whichever of the two it is; with
// more space the next job succeeds.
func TestFullDisk(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for _, key := range []string{"cache_dir", "temp_dir"} {
			t.Run(key, func(t *testing.T) {
				dir := place(t)
				r.mount(t, dir, "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs")
				defer func() { r.cache = "" }()
				if key == "cache_dir" {
					r.storesAt(t, dir)
				} else {
					r.reconfigure(t, func(c site.Config) { c.Set("container", key, dir) })
				}
				image := r.own.Copy(r.all["group/project/bash:1"], "full/"+r.engine.name+"/"+key, "")
				j := r.plain("bb:1")
				j.Image = image
				if key == "temp_dir" && r.engine.name == "podman" {
					// It stores nothing large there.
					site.Want(t, r.run(t, j), fakerunner.Success, 0, "ran 42")
					return
				}
				r.refuses(t, j, fakerunner.SystemFailure, 0, "cannot store the image "+image+": no space left on device", "the file system "+dir+" is full")
				command(t, "mount", "-o", "remount,size=100m", dir)
				site.Want(t, r.run(t, j), fakerunner.Success, 0, "ran 42")
			})
		}
	})
}

// quotaPrograms are what a file system with a quota needs.
func quotaPrograms() map[string]string {
	return map[string]string{"/usr/sbin/mkfs.btrfs": "btrfs-progs", "/usr/bin/mount": "mount"}
}

// A quota that is exhausted is named as such.
func TestQuota(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		debian.Need(t, quotaPrograms())
		dir := place(t)
		disk := filepath.Join(r.site.Dir, "disk")
		command(t, "truncate", "-s", "200M", disk)
		command(t, "mkfs.btrfs", "-q", disk)
		r.mount(t, dir, "-o", "loop", disk)
		sub := filepath.Join(dir, "sub")
		command(t, "btrfs", "quota", "enable", dir)
		command(t, "btrfs", "subvolume", "create", sub)
		command(t, "btrfs", "qgroup", "limit", "1M", sub)
		command(t, "chmod", "1777", sub)
		r.storesAt(t, sub)
		image := r.own.Copy(r.all["group/project/bash:1"], "quota/"+r.engine.name, "")
		j := r.plain("bb:1")
		j.Image = image
		r.refuses(t, j, fakerunner.SystemFailure, 0, "cannot store the image "+image+": disk quota exceeded", "your quota on ", "is full")
		command(t, "btrfs", "qgroup", "limit", "none", sub)
		site.Want(t, r.run(t, j), fakerunner.Success, 0, "ran 42")
	})
}

// A directory that cannot be written is named.
func TestReadOnlyCache(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		dir := place(t)
		r.mount(t, dir, "-t", "tmpfs", "-o", "mode=1777", "tmpfs")
		r.storesAt(t, dir)
		site.Want(t, r.run(t, r.plain("bb:1")), fakerunner.Success, 0, "ran 42")
		command(t, "mount", "-o", "remount,ro", dir)
		site.Want(t, r.run(t, r.plain("bb:1")), fakerunner.Success, 0, "ran 42")
		r.refuses(t, r.plain("entry:1"), fakerunner.SystemFailure, 0, "read-only", dir)
		command(t, "mount", "-o", "remount,rw", dir)
		site.Want(t, r.run(t, r.plain("entry:1")), fakerunner.Success, 0, "ran 42")
	})
}

// A script that could not be started has no end: its error is what the log has.
func TestNoScriptNoEnd(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		dir := place(t)
		r.mount(t, dir, "-t", "tmpfs", "-o", "mode=1777", "tmpfs")
		r.reconfigure(t, func(c site.Config) { c.Set("container", "temp_dir", dir) })
		const end = "jacamar: the script ended: "
		site.Want(t, r.run(t, r.plain("bb:1")), fakerunner.Success, 0, "ran 42", end+"exit code 0")
		r.runner.Hooks.Launch = func(stage string) []string {
			if stage == "build_script" {
				command(t, "mount", "-o", "remount,ro", dir)
			}
			return nil
		}
		result := r.refuses(t, r.plain("bb:1"), fakerunner.SystemFailure, 0, "cannot create "+dir, "is mounted read-only")
		if strings.Contains(result.Trace, end) {
			t.Errorf("a script ended in:\n%s", result.Trace)
		}
	})
}

// Images on a file system of FUSE, which has neither overlay mounts nor renames with
// flags: an engine that keeps files works, one that keeps layers reports it.
func TestCacheOnFUSE(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		debian.Need(t, fuse.Programs())
		dir := place(t)
		source := place(t)
		command(t, "bindfs", "-o", "allow_other", source, dir)
		r.mounted = append(r.mounted, dir)
		t.Cleanup(func() { command(t, "umount", "--lazy", dir) })
		r.storesAt(t, dir)
		if r.engine.name == "podman" {
			r.refuses(t, r.plain("bb:1"), fakerunner.SystemFailure, 0, "unsupported", dir, "container.cache_dir")
			return
		}
		for range 2 {
			site.Want(t, r.run(t, r.plain("bb:1")), fakerunner.Success, 0, "ran 42")
		}
	})
}

// Images that another host has fetched, and its leftovers, serve this host.
func TestImagesOfAnotherHost(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		dir := place(t)
		r.storesAt(t, dir)
		image := r.own.Copy(r.all["bb:1"], "host/"+r.engine.name, "")
		j := r.plain("bb:1")
		j.Image = image
		r.runner.Hooks.Launch = func(string) []string {
			return []string{"unshare", "--uts", "--mount", "sh", "-c", `hostname elsewhere && mount -t tmpfs -o mode=1777 tmpfs /tmp && exec "$@"`, "sh"}
		}
		e := r.begin(t, withScript(j, "echo ready $((6*7)); sleep 1000"), "ready 42")
		e.Abort() // as a host that is gone: its runtime directories and locks are of another /tmp
		e.Wait()
		r.runner.Hooks.Launch = nil
		site.Want(t, r.run(t, j), fakerunner.Success, 0, "ran 42", "present")
		if n := r.own.Requests("GET", "/v2/host/"+r.engine.name+"/blobs/"+r.all["bb:1"].Blobs[0].Digest); n != 1 {
			t.Errorf("the layer was fetched %d times, want once", n)
		}
	})
}

func withScript(j fakerunner.Job, script ...string) fakerunner.Job {
	j.Script = script
	return j
}

// Jobs of one account fetch, run and remove images at once: each has the image that it
// named, and the end of one takes nothing away from another.
func TestFetchRunAndRemoveAtOnce(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		rounds := 8
		if testing.Short() {
			rounds = 2
		}
		names := []string{"bb:1", "entry:1", "user:1", "noenv:1"}
		var jobs, aging sync.WaitGroup
		done := make(chan struct{})
		aging.Go(func() { r.ageUntil(done) })
		for n := range names {
			jobs.Go(func() {
				for round := range rounds {
					j := r.job(names[(n+round)%len(names)], fmt.Sprintf("head -n 1 /etc/passwd; echo ran $((%d+1000))", n))
					j.Bare = true
					site.Want(t, r.runner.Run(j), fakerunner.Success, 0, fmt.Sprintf("ran %d", n+1000), "root:x:0:0")
				}
			})
		}
		jobs.Wait()
		close(done)
		aging.Wait()
		r.nothingLeft(t)
	})
}

// ageUntil makes whatever image is there unused for a month, all the time.
func (r *rig) ageUntil(done <-chan struct{}) {
	month := time.Now().Add(-30 * 24 * time.Hour)
	for {
		select {
		case <-done:
			return
		case <-time.After(5 * time.Millisecond):
		}
		all, _ := filepath.Glob(r.cacheDir() + "/*-*")
		for _, path := range all {
			_ = os.Chtimes(path, month, month) // it may just have been removed
		}
	}
}
