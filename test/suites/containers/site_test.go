package containers

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// The same results where jacamar-auth has its privileges by capabilities or sudo, where it
// has none, and where programs cannot gain any.
func TestDeployments(t *testing.T) {
	w := theWorld(t)
	for _, d := range site.Deployments() {
		for _, restrained := range []bool{false, true} {
			name := d.Name
			if restrained {
				name += " without new privileges"
			}
			if testing.Short() && restrained != (d.Name == "root") {
				continue // each way once
			}
			t.Run(name, func(t *testing.T) {
				if restrained && d.Name == "sudo" {
					t.Skip("sudo does not run under no_new_privs")
				}
				r := &rig{world: w, engine: engines()[0]}
				r.given = append(r.changes(t, onShell), func(c site.Config) {
					if restrained {
						c.Set("auth", "no_new_privs", true)
					}
				})
				r.site = d.Open(t, r.given...)
				r.serve(t)
				cases := slices.Concat(whole()[:1], codes()[1:2], refused()[:1])
				if restrained || !testing.Short() {
					cases = append(cases, slices.DeleteFunc(whole(), func(c contractCase) bool { return c.name != "service" })...)
				}
				for _, c := range cases {
					t.Run(c.name, func(t *testing.T) { c.play(t, r) })
				}
			})
		}
	}
}

// An account without subordinate ids has the same results.
func TestNoSubordinateIDs(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for _, file := range []string{"/etc/subuid", "/etc/subgid"} {
			r.hide(t, file)
		}
		for _, c := range whole() {
			if strings.Contains(c.name, "user") || strings.Contains(c.name, "links") || c.name == "service" {
				t.Run(c.name, func(t *testing.T) { c.play(t, r) })
			}
		}
	})
}

// hide makes a file empty in this process's mount namespace, until the test ends.
func (r *rig) hide(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		return
	}
	if out, err := exec.Command("mount", "--bind", "/dev/null", file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// Without an image a job runs on the host, in the default image, or not at all, as the
// site has it; an image without run_mechanism is a warning.
func TestWhichImage(t *testing.T) {
	w := theWorld(t)
	bb := w.own.Host + "/bb:1"
	for _, tt := range []struct {
		name, image string
		change      func(site.Config)
		outcome     fakerunner.Outcome
		code        int
		texts       []string
	}{
		{"none", "", func(site.Config) {}, fakerunner.Success, 0, []string{"release Debian"}},
		{"default", "", func(c site.Config) { c.Set("general", "podman", site.Table{"default_image": bb}) }, fakerunner.Success, 0, []string{"release none"}},
		{"required", "", func(c site.Config) { c.Set("container", "image_required", true) }, fakerunner.ScriptFailure, 1, []string{"image"}},
		{"no mechanism", bb, func(c site.Config) {
			c.Set("general", "run_mechanism", nil)
			delete(c, "container")
		}, fakerunner.Success, 0, []string{"release Debian", "WARNING", "image"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := openRig(t, engines()[0], onShell, tt.change)
			j := r.site.Job("echo release $(sed -n 's/^NAME=\"\\([A-Za-z]*\\).*/\\1/p' /etc/os-release 2>/dev/null || echo none)$([ -e /etc/os-release ] || echo none)")
			j.Image, j.Bare = tt.image, true
			site.Want(t, r.run(t, j), tt.outcome, tt.code, tt.texts...)
		})
	}
}

// Rules decide which images jobs may use. The refusal comes before anything is fetched.
func TestImageRules(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		r.reconfigure(t, func(c site.Config) {
			c.Set("container", "rule", []site.Table{{"namespace": "group/**", "images": []string{r.own.Host + "/bb:*", r.own.Host + "/group/**"}}})
		})
		for image, allowed := range map[string]bool{"bb:1": true, "group/project/bash:1": true, "entry:1": false, "bbb:1": false} {
			j := r.job(image, "echo ran $((6*7))")
			j.Bare = true
			before := r.own.Requests("/v2/")
			if allowed {
				site.Want(t, r.run(t, j), fakerunner.Success, 0, "ran 42")
				continue
			}
			site.Want(t, r.run(t, j), fakerunner.ScriptFailure, 1, image, r.own.Host+"/bb:*")
			if n := r.own.Requests("/v2/"); n != before {
				t.Errorf("%s: %d requests to the registry", image, n-before)
			}
		}
	})
}
