package containers

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/site"
)

// Trouble with a registry: the class, one line with the reason, and the script never
// starts.
func TestFetchFailures(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		bb := r.all["bb:1"]
		for name, tt := range map[string]struct {
			image   string
			outcome fakerunner.Outcome
			code    int
			texts   []string
		}{
			"not there":     {r.own.Host + "/nothing:1", fakerunner.ScriptFailure, 1, []string{"nothing:1"}},
			"unauthorized":  {r.own.Copy(bb, "fault/401", images.Unauthorized), fakerunner.ScriptFailure, 1, nil},
			"forbidden":     {r.own.Copy(bb, "fault/403", images.Forbidden), fakerunner.ScriptFailure, 1, nil},
			"server error":  {r.own.Copy(bb, "fault/500", images.Broken), fakerunner.SystemFailure, 0, nil},
			"cut layer":     {r.own.Copy(bb, "fault/cut", images.Cut), fakerunner.SystemFailure, 0, nil},
			"no manifest":   {r.own.Copy(bb, "fault/garbage", images.Garbage), fakerunner.SystemFailure, 0, nil},
			"no server":     {"127.0.0.1:1/a/b:1", fakerunner.SystemFailure, 0, []string{"onnection refused"}},
			"login missing": {r.real.Host + "/bb:1", fakerunner.ScriptFailure, 1, nil},
		} {
			if testing.Short() && slices.Contains([]string{"no manifest", "server error", "no server"}, name) {
				continue // as a layer that is cut, of which each try takes less time
			}
			t.Run(name, func(t *testing.T) {
				j := r.site.Job("echo ran $((6*7))")
				j.Image, j.Bare = tt.image, true
				result := r.run(t, j)
				site.Want(t, result, tt.outcome, tt.code, tt.texts...)
				if strings.Contains(result.Trace, "ran 42") || strings.Contains(result.Trace, "goroutine") {
					t.Errorf("the job log:\n%s", result.Trace)
				}
			})
		}
	})
}

// Names that are none end the job in the config stage, before anything is fetched.
func TestBadNames(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		for _, name := range []string{
			"with space:1", "bb:", ":1", "UPPER/case:1", "a//b:1", "bb@sha256:abc", "oci:/tmp/x", "docker-archive:///tmp/x", "ftp://host/x:1",
			"host:99999999/a:1", strings.Repeat("a", 300), "bb:" + strings.Repeat("t", 129), "-v/etc:/etc", "../../etc/passwd", "a\x01b", "$(id)", "bb:1;id",
		} {
			j := r.site.Job("echo ran $((6*7))")
			j.Image, j.Bare = name, true
			result := r.run(t, j)
			if result.Outcome != fakerunner.ScriptFailure || strings.Contains(result.Trace, "ran 42") {
				t.Errorf("%q: %s; the log:\n%s", name, result.Outcome, result.Trace)
			}
		}
	})
}

// A registry with a password: the login of the job, of GitLab and of the account, and a
// wrong one.
func TestLogins(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		auth := func(password string) string {
			return fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, r.real.Host, base64.StdEncoding.EncodeToString([]byte(images.User+":"+password)))
		}
		play := func(name string, outcome fakerunner.Outcome, change func(*fakerunner.Job), texts ...string) {
			t.Run(name, func(t *testing.T) {
				r.forget(t)
				j := r.site.Job("echo ran $((6*7))")
				j.Image, j.Bare = r.real.Host+"/bb:1", true
				change(&j)
				result := r.run(t, j)
				code := 0
				if outcome != fakerunner.Success {
					code = 1
				} else {
					texts = append(texts, "ran 42")
				}
				site.Want(t, result, outcome, code, texts...)
				for _, secret := range []string{images.Password, base64.StdEncoding.EncodeToString([]byte(images.User + ":" + images.Password))} {
					if strings.Contains(result.Trace, secret) {
						t.Errorf("the password is in the job log:\n%s", result.Trace)
					}
				}
			})
		}
		play("DOCKER_AUTH_CONFIG", fakerunner.Success, variable("DOCKER_AUTH_CONFIG", auth(images.Password)), "DOCKER_AUTH_CONFIG")
		play("wrong password", fakerunner.ScriptFailure, variable("DOCKER_AUTH_CONFIG", auth("wrong")))
		play("login of GitLab", fakerunner.Success, func(j *fakerunner.Job) {
			j.Logins = []fakerunner.Login{{Registry: r.real.Host, User: images.User, Password: images.Password}}
		})
		r.inHome(t, ".docker/config.json", auth(images.Password))
		play("login of the account", fakerunner.Success, func(*fakerunner.Job) {})
	})
}

// A registry whose certificate is not of a known authority is a failure of the system.
func TestUnknownAuthority(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		j := r.job("bb:1", "echo ran $((6*7))")
		j.Bare = true
		site.Want(t, r.run(t, j), fakerunner.SystemFailure, 0, "certificate")
	}, func(c site.Config) { c.Set("container", "registry_ca", nil) })
}

// Many jobs of one image on cold storage: the registry sends it once.
func TestManyJobsFetchOnce(t *testing.T) {
	over(t, func(t *testing.T, r *rig) {
		r.only(t)
		repository := "many/" + strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
		image := r.own.Copy(r.all["group/project/bash:1"], repository, "")
		count := 20
		results := make([]fakerunner.Result, count)
		var wait sync.WaitGroup
		for n := range count {
			wait.Go(func() {
				j := r.site.Job(fmt.Sprintf("echo ran $((%d+1000))", n))
				j.Image, j.Bare = image, true
				results[n] = r.runner.Run(j)
			})
		}
		wait.Wait()
		for n, result := range results {
			site.Want(t, result, fakerunner.Success, 0, fmt.Sprintf("ran %d", n+1000))
		}
		r.nothingLeft(t)
		if n := r.own.Requests("GET", "/v2/"+repository+"/", r.all["group/project/bash:1"].Blobs[0].Digest); n != 1 {
			t.Errorf("the layer was fetched %d times, want once", n)
		}
	})
}

// Pull policies: never needs an image that is there, always asks the registry, and a
// policy that the site does not allow fails the job.
func TestPullPolicies(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		image := r.own.Copy(r.all["bb:1"], "policy/"+r.engine.name, "")
		play := func(policy string) fakerunner.Result {
			j := r.site.Job("echo ran $((6*7))")
			j.Image, j.Bare, j.ImagePullPolicy = image, true, []string{policy}
			return r.run(t, j)
		}
		asked := func() int { return r.own.Requests("/v2/policy/" + r.engine.name + "/manifests/") }
		site.Want(t, play("never"), fakerunner.ScriptFailure, 1, "never")
		if n := asked(); n != 0 {
			t.Errorf("never: %d requests", n)
		}
		site.Want(t, play("if-not-present"), fakerunner.Success, 0, "ran 42")
		before := asked()
		site.Want(t, play("if-not-present"), fakerunner.Success, 0, "ran 42")
		site.Want(t, play("never"), fakerunner.Success, 0, "ran 42")
		if n := asked(); n != before || before == 0 {
			t.Errorf("%d requests, then %d", before, n)
		}
		site.Want(t, play("always"), fakerunner.Success, 0, "ran 42")
		if n := asked(); n == before {
			t.Error("always made no request")
		}
		site.Want(t, play("sometimes"), fakerunner.ScriptFailure, 1, "sometimes")
	}, func(c site.Config) {
		c.Set("container", "allowed_pull_policies", []string{"always", "if-not-present", "never"})
	})
}

// A registry that limits the rate: podman waits for it by itself, for minutes.
func TestThrottled(t *testing.T) {
	if testing.Short() {
		t.Skip("engines retry for minutes (make test SHORT=)")
	}
	onHost(t, func(t *testing.T, r *rig) {
		j := r.site.Job("echo ran $((6*7))")
		j.Image, j.Bare = r.own.Copy(r.all["bb:1"], "fault/429", images.Throttled), true
		site.Want(t, r.run(t, j), fakerunner.SystemFailure, 0)
	})
}

// A job that is stopped while its image is fetched leaves no half image, and the next one
// fetches it.
func TestStopInAFetch(t *testing.T) {
	onHost(t, func(t *testing.T, r *rig) {
		image := r.own.Copy(r.all["group/project/bash:1"], "slow/"+r.engine.name, images.Slow)
		j := r.site.Job("echo ran $((6*7))")
		j.Image, j.Bare = image, true
		e := r.runner.Start(j)
		if !site.Eventually(limit, func() bool {
			return r.own.Requests("GET", "/v2/slow/"+r.engine.name+"/blobs/"+r.all["group/project/bash:1"].Blobs[0].Digest) > 0
		}) {
			t.Error("no request for the layer")
		}
		e.Cancel()
		if result := e.Wait(); result.Outcome == fakerunner.Success || strings.Contains(result.Trace, "ran 42") {
			t.Errorf("%s; the log:\n%s", result.Outcome, result.Trace)
		}
		r.nothingLeft(t)
		r.own.Copy(r.all["group/project/bash:1"], "slow/"+r.engine.name, "")
		j = r.site.Job("echo ran $((6*7))")
		j.Image, j.Bare = image, true
		site.Want(t, r.run(t, j), fakerunner.Success, 0, "ran 42")
	})
}
