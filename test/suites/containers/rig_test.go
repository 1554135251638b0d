package containers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// limit is the longest time that a test waits for an event.
const limit = 30 * time.Second

// rig is one engine with one executor.
type rig struct {
	*world
	site   *site.Site
	runner *fakerunner.Runner
	engine engine
	// executor is where its jobs run.
	executor string
	// given are the changes of the site's configuration that hold for the whole test.
	given []func(site.Config)
	// brief has only some of the cases.
	brief bool
	// cache is where the account keeps images if not below its home; mounted are mounts of
	// the test itself.
	cache   string
	mounted []string
}

// over runs a test for every engine with every executor; in short mode, where only the
// first pair has all cases, for a few pairs.
func over(t *testing.T, test func(*testing.T, *rig)) {
	short := []string{"podman/shell", "podman/slurm", "podman/fake pbs", "charliecloud/shell", "charliecloud/slurm", "apptainer/shell"}
	for i, e := range engines() {
		for j, x := range executors() {
			name := e.name + "/" + x.name
			if testing.Short() && !slices.Contains(short, name) {
				continue
			}
			t.Run(name, func(t *testing.T) {
				r := openRig(t, e, x)
				r.brief = testing.Short() && i+j > 0
				test(t, r)
			})
		}
	}
}

// onHost runs a test for every engine on this host: for behaviour in which batch systems
// have no part. In short mode it is Podman alone.
func onHost(t *testing.T, test func(*testing.T, *rig), change ...func(site.Config)) {
	for i, e := range engines() {
		if testing.Short() && i > 0 {
			continue
		}
		t.Run(e.name, func(t *testing.T) { test(t, openRig(t, e, onShell, change...)) })
	}
}

// only skips in short mode what one pair of engine and executor has shown.
func (r *rig) only(t *testing.T) {
	t.Helper()
	if r.brief {
		t.Skip("a whole run does this for every engine and executor (make test SHORT=)")
	}
}

func openRig(t *testing.T, e engine, x executor, change ...func(site.Config)) *rig {
	t.Helper()
	w := theWorld(t)
	if e.need != nil {
		e.need(t, w)
	}
	r := &rig{world: w, engine: e, executor: x.name}
	r.given = append(r.changes(t, x), change...)
	r.site = site.New(t, r.given...)
	r.serve(t)
	return r
}

// serve connects a runner. Its bare jobs have no stage that makes the project's
// directory: it is made here.
func (r *rig) serve(t *testing.T) {
	t.Helper()
	r.runner = r.site.Runner()
	given := r.runner.Given
	r.runner.Given = func(jobID int64, buildsDir string) {
		given(jobID, buildsDir)
		for _, dir := range []string{"group", "group/project"} {
			path := filepath.Join(buildsDir, dir)
			err := os.Mkdir(path, 0o700)
			if err == nil {
				err = os.Chown(path, int(r.site.Account.UID), int(r.site.Account.GID))
			}
			if err != nil && !os.IsExist(err) {
				t.Errorf("the project's directory: %v", err)
			}
		}
	}
	t.Cleanup(func() { r.forget(t) })
}

func (r *rig) changes(t *testing.T, x executor) []func(site.Config) {
	return []func(site.Config){x.change(t, r.world), func(c site.Config) {
		c.Set("general", "run_mechanism", r.engine.name)
		c.Set("container", "registry_ca", r.ca())
		c.Set("container", "services_wait", "3m") // the machine may be very busy
		if r.engine.table != nil {
			c.Set("general", r.engine.name, r.engine.table(r.world))
		}
	}}
}

// reconfigure makes other changes in addition to those that are given, instead of those
// that were made before.
func (r *rig) reconfigure(t *testing.T, change ...func(site.Config)) {
	t.Helper()
	if err := r.site.Reconfigure(slices.Concat(r.given, change)...); err != nil {
		t.Fatal(err)
	}
}

// cacheDir is where the account keeps images.
func (r *rig) cacheDir() string {
	if r.cache != "" {
		return r.cache
	}
	return filepath.Join(r.site.Account.Home, ".jacamar-ci", "images")
}

// forget removes the images that the account keeps, so that the next rig begins with
// none.
func (r *rig) forget(t *testing.T) {
	t.Helper()
	if err := removeTree(r.cacheDir()); err != nil {
		t.Error(err)
	}
}

// removeTree also removes directories that their owner cannot write, as layers have
// them.
func removeTree(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// job is one with an image of the open registry.
func (r *rig) job(image string, script ...string) fakerunner.Job {
	j := r.site.Job(script...)
	j.Image = r.own.Host + "/" + image
	return j
}

// run runs a job and checks what it left behind.
func (r *rig) run(t *testing.T, j fakerunner.Job) fakerunner.Result {
	t.Helper()
	result := r.runner.Run(j)
	r.nothingLeft(t)
	return result
}

// nothingLeft fails the test for processes of the account, state directories, mounts, and
// images that are not whole.
func (r *rig) nothingLeft(t *testing.T) {
	t.Helper()
	r.site.NoProcess(t, limit)
	var left []string
	if !site.Eventually(limit, func() bool {
		left = r.leftovers(t)
		return len(left) == 0
	}) {
		t.Errorf("left: %s", strings.Join(left, "\n"))
	}
}

func (r *rig) leftovers(t *testing.T) (left []string) {
	t.Helper()
	for _, pattern := range []string{"/tmp/jc.*", "/tmp/.jc.*", "/srv/jacamar-small-*/jc.*", "/var/tmp/storage*", "/var/tmp/*.ch", "/tmp/podman-run-*", r.cacheDir() + "/*.new"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			if owner(path) == r.site.Account.UID {
				left = append(left, path)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if slices.Contains(r.mounted, strings.Fields(line)[4]) {
			continue
		}
		for _, part := range []string{"/jc.", "overlay ", "squashfuse", r.cacheDir()} {
			if strings.Contains(line, part) && !strings.Contains(line, " / / ") {
				left = append(left, strings.TrimSpace(line))
			}
		}
	}
	return left
}

// owner is the owner of a path, root's where it is gone.
func owner(path string) uint32 {
	a, err := stat(path)
	if err != nil {
		return 0
	}
	return a.Uid
}

// lines joins the commands of a script.
func lines(commands ...string) string { return strings.Join(commands, "\n") }

// inHome writes a file of the account into its home, until the test ends.
func (r *rig) inHome(t *testing.T, name, text string) {
	t.Helper()
	a, path := r.site.Account, filepath.Join(r.site.Account.Home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{filepath.Dir(path), path} {
		if p == a.Home {
			continue
		}
		if err := os.Chown(p, int(a.UID), int(a.GID)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	})
}
