package faultinjection

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/setup/containers"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// contained is where the scripts of a harness run in containers. A nil one has none.
type contained struct {
	engine   string
	registry *images.Registry
	image    images.Packed
}

// TestFaultsWithEngine injects faults into the stages of a job that have to do with a
// container engine: a fetch, and the start of a container.
func TestFaultsWithEngine(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: the engines get a mount namespace of their own")
	}
	needStrace(t)
	debian.Need(t, containers.Programs())
	debian.Need(t, images.Programs())
	for i, engine := range []string{"podman", "charliecloud"} {
		if i > 0 && !*whole && *only == "" {
			continue
		}
		t.Run(engine, func(t *testing.T) {
			r := withEngine(t, engine)
			r.tryPoints(t, r.points(t, looked([]string{"prepare", "build_script"})))
		})
	}
}

// withEngine sets a site up whose jobs run in an image.
func withEngine(t *testing.T, engine string) *harness {
	t.Helper()
	dir := t.TempDir()
	list, err := images.Catalogue(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &contained{engine: engine, image: list[0]}
	if c.registry, err = images.Serve(dir, list[:1]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.registry.Close)
	for _, d := range site.Deployments() {
		if d.Name != "root" {
			continue
		}
		r := openHarness(t, d, func(r *harness, s site.Config) {
			authority := filepath.Join(r.site.Dir, "registry-ca.pem")
			if text, err := os.ReadFile(c.registry.CAFile); err != nil || os.WriteFile(authority, text, 0o644) != nil {
				t.Fatal("cannot copy the certificate")
			}
			s.Set("general", "run_mechanism", engine)
			s.Set("container", "registry_ca", authority)
			s.Set("container", "binds", []string{r.evidence + ":" + r.evidence})
		})
		r.contained = c
		r.learn(t, 0) // the account is root inside
		return r
	}
	t.Skip("no deployment has root")
	return nil
}

// prepare gives a job an image that no job has fetched before.
func (c *contained) prepare(j *fakerunner.Job, number int) {
	if c != nil {
		j.Image = c.registry.Copy(c.image, fmt.Sprintf("faults/%d", number), "")
	}
}

// left searches for states of containers, and for images that are not whole.
func (c *contained) left(a site.Account) (wrong []string) {
	if c == nil {
		return nil
	}
	for _, pattern := range []string{"/tmp/jc.*", "/tmp/.jc.*", "/var/tmp/storage*", a.Home + "/.jacamar-ci/images/*.new", a.Home + "/.jacamar-ci/images/*.use"} {
		found, _ := filepath.Glob(pattern) // the patterns are valid
		for _, path := range found {
			var st syscall.Stat_t
			if syscall.Lstat(path, &st) == nil && st.Uid == a.UID {
				wrong = append(wrong, path+" is left")
			}
		}
	}
	return wrong
}

// name is the deployment and the engine.
func (r *harness) name() string {
	if r.contained != nil {
		return r.deployment + "/" + r.contained.engine
	}
	return r.deployment
}
