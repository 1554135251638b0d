package service

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// sealedDeployments are those in which the service has an account of its own.
var sealedDeployments = []string{"capabilities", "sudo"}

// split cuts a state where its JSON begins.
func split(t *testing.T, state string) (head string, body map[string]any) {
	t.Helper()
	i := strings.IndexByte(state, '{')
	if i < 0 {
		t.Fatalf("a state without JSON: %q", state)
	}
	testutil.Must(t, json.Unmarshal([]byte(state[i:]), &body))
	return state[:i], body
}

func join(t *testing.T, head string, body map[string]any) string {
	t.Helper()
	text, err := json.Marshal(body)
	testutil.Must(t, err)
	return head + string(text)
}

// other is a different value of the same kind, which a state could have.
func other(v any) any {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "/") {
			return "/tmp"
		}
		return v + "x"
	case float64:
		return v + 1
	case bool:
		return !v
	}
	return nil
}

// TestEveryMember, for K1, changes each value of a state, one at a time, and takes it to every
// later stage.
func TestEveryMember(t *testing.T) {
	for _, name := range sealedDeployments {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			a := attack(t, s, s.Job())
			state := a.state(t)
			head, body := split(t, state)
			var paths []string
			testutil.Leaves(body, func(path string, _ any, _ func(any)) { paths = append(paths, path) })
			if len(paths) < 15 {
				t.Errorf("the state has %q", paths)
			}
			for _, chosen := range paths {
				_, body := split(t, state)
				testutil.Leaves(body, func(path string, v any, replace func(any)) {
					if path == chosen {
						replace(other(v))
					}
				})
				for _, stage := range []string{"prepare", "run", "cleanup"} {
					a.refused(t, stage+" with another "+chosen, a.stage(t, stage, join(t, head, body)), "the job's state was changed")
				}
			}
			for _, r := range records(t, s) {
				if r.Event == "decision" && r.Stage != "config" && (r.Decision != "deny" || r.Rule != "state") {
					t.Errorf("recorded %+v", r)
				}
			}
			if r := a.stage(t, "run", state); r.status != 0 || !strings.Contains(r.stdout, "("+s.Account.Name+")") {
				t.Errorf("the state as it was: %s", r)
			}
		})
	}
}

// TestIDsOfAnotherAccount: K1, a state with the account's name and the ids of another, with
// the groups of root, disk and shadow.
func TestIDsOfAnotherAccount(t *testing.T) {
	for _, name := range sealedDeployments {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			bob, err := site.LookupAccount(s.Accounts.Bob)
			testutil.Must(t, err)
			a := attack(t, s, s.Job())
			head, body := split(t, a.state(t))
			testutil.Leaves(body, func(path string, _ any, replace func(any)) {
				switch {
				case strings.HasSuffix(path, ".uid"):
					replace(bob.UID)
				case strings.HasSuffix(path, ".gid"):
					replace(6)
				case strings.HasSuffix(path, ".groups"):
					replace("0,6,42")
				case strings.HasSuffix(path, ".home"):
					replace("/tmp")
				}
			})
			a.refused(t, "run", a.stage(t, "run", join(t, head, body)), "the job's state was changed")
		})
	}
}

// TestRandomChanges, for K1, edits the text of a state at random, seeded so that a failure
// can be repeated.
func TestRandomChanges(t *testing.T) {
	for _, name := range sealedDeployments {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			a := attack(t, s, s.Job())
			state := a.state(t)
			random := rand.New(rand.NewPCG(1, 2))
			for range 60 {
				at := random.IntN(len(state))
				length := min(random.IntN(8), len(state)-at)
				insert := make([]byte, random.IntN(8))
				for i := range insert {
					insert[i] = byte(1 + random.IntN(126)) // execve(2) takes no null byte
				}
				changed := state[:at] + string(insert) + state[at+length:]
				if changed == state {
					continue
				}
				r := a.stage(t, "run", changed)
				if r.status != 2 || strings.Contains(r.stdout, "it runs as") || strings.Count(r.stdout+r.stderr, "ERROR: ") != 1 {
					t.Errorf("%q: %s", changed, r)
				}
			}
		})
	}
}

// TestStateOfAnotherJob: K1, a sealed state is valid for its own job alone.
func TestStateOfAnotherJob(t *testing.T) {
	for _, name := range sealedDeployments {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			bob, err := site.LookupAccount(s.Accounts.Bob)
			testutil.Must(t, err)
			a := attack(t, s, s.Job())
			second := attack(t, s, s.Job())
			bobs := s.Job()
			bobs.UserID = 8
			bobs = s.WithClaims(bobs, s.GitLab.Claims(bobs, gitlab.User{ID: 8, Login: bob.Name, Email: bob.Name + "@example.org"}))
			b := attack(t, s, bobs)
			for what, state := range map[string]string{"the same user": second.state(t), "another user": b.state(t)} {
				for _, stage := range []string{"prepare", "run", "cleanup"} {
					a.refused(t, stage+" with the state of a job of "+what, a.stage(t, stage, state), "the job's state belongs to job ")
				}
			}
			// A new token for the same job is another one than config accepted.
			again := a.job
			again = s.WithClaims(again, s.GitLab.Claims(again, s.User))
			c := attack(t, s, again)
			if r := c.stage(t, "run", a.state(t)); r.status != 1 || strings.Contains(r.stdout, "it runs as") {
				t.Errorf("with another token: %s", r)
			}
		})
	}
}

// TestStateOfAnotherSite: K1, two configurations with one state directory have one key.
func TestStateOfAnotherSite(t *testing.T) {
	s := opened(t, "capabilities")
	loose := filepath.Join(s.Dir, "loose.toml")
	text, err := os.ReadFile(s.ConfigFile)
	testutil.Must(t, err)
	testutil.Must(t, os.WriteFile(loose, text, 0o644))
	a := attack(t, s, s.Job())
	other := *s
	other.ConfigFile = loose
	b := attacker{s: &other, job: a.job, dir: a.dir}
	state := b.state(t)
	if r := a.stage(t, "run", state); r.status != 0 {
		t.Errorf("its own configuration: %s", r)
	}
	moved := strings.Replace(state, strings.ReplaceAll(loose, "/", "%2F"), strings.ReplaceAll(s.ConfigFile, "/", "%2F"), 1)
	if moved == state {
		t.Fatalf("%q does not name its configuration", state)
	}
	a.refused(t, "the name of another configuration", a.stage(t, "run", moved), "the job's state was changed")
	if r := a.stage(t, "cleanup", state); r.status != 2 || strings.Contains(r.stdout, "ok") {
		t.Errorf("cleanup of another configuration: %s", r)
	}
}

// TestConfigIgnoresState: K1, whatever is in the environment, config looks up the account
// again.
func TestConfigIgnoresState(t *testing.T) {
	for _, name := range sealedDeployments {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			script := filepath.Join(s.Dir, "validate")
			testutil.Must(t, os.WriteFile(script, []byte("#!/bin/sh\necho '{\"user_message\":\"asked by '$$'\"}'\n"), 0o755))
			testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "runas", site.Table{"validation_script": script}) }))
			a := attack(t, s, s.Job())
			first := a.state(t)
			for what, state := range map[string]string{"its own": first, "of an old version": `{"v":1}`, "none": "x"} {
				r := a.config(t, state)
				_, was := split(t, first)
				var answer struct {
					JobEnv map[string]string `json:"job_env"`
				}
				if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil {
					t.Fatalf("%s: %s", what, r)
				}
				_, is := split(t, answer.JobEnv["JACAMAR_CI_STATE"])
				if fmt.Sprint(is["runas"]) == fmt.Sprint(was["runas"]) {
					t.Errorf("%s: the script did not run again: %v", what, is["runas"])
				}
			}
		})
	}
}

// TestFirstJobs: many jobs start before there is a key, and all of them succeed.
func TestFirstJobs(t *testing.T) {
	s := opened(t, "capabilities")
	all := make([]attacker, 8)
	states := make([]result, len(all))
	for i := range all {
		all[i] = attack(t, s, s.Job())
	}
	var wait sync.WaitGroup
	for i, a := range all {
		wait.Go(func() { states[i] = a.config(t, "") })
	}
	wait.Wait()
	for i, a := range all {
		var answer struct {
			JobEnv map[string]string `json:"job_env"`
		}
		testutil.Must(t, json.Unmarshal([]byte(states[i].stdout), &answer))
		if r := a.stage(t, "prepare", answer.JobEnv["JACAMAR_CI_STATE"]); r.status != 0 {
			t.Errorf("job %d: %s", i, r)
		}
	}
}

// TestReplacedKey: an administrator may delete the key.
func TestReplacedKey(t *testing.T) {
	s := opened(t, "capabilities")
	a := attack(t, s, s.Job())
	state := a.state(t)
	testutil.Must(t, os.Remove(filepath.Join(s.StateDir, "seal.key")))
	a.refused(t, "without the key", a.stage(t, "run", state), "the key that seals the states of jobs was replaced during the job")
	next := attack(t, s, s.Job())
	if r := next.stage(t, "run", next.state(t)); r.status != 0 {
		t.Errorf("the next job: %s", r)
	}
	a.refused(t, "with the next key", a.stage(t, "run", state), "sealed with another key")
}

// TestOldState: a job that began before an update ends in one line.
func TestOldState(t *testing.T) {
	for _, name := range []string{"root", "capabilities", "sudo"} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			a := attack(t, s, s.Job())
			old := fmt.Sprintf(`{"v":1,"config":%q,"state_dir":%q,"job":%d,"jti":"x","facts":{},"runas":{},"dirs":{}}`, s.ConfigFile, s.StateDir, a.job.ID)
			for _, stage := range []string{"prepare", "run", "cleanup"} {
				a.refused(t, stage, a.stage(t, stage, old), "the job started with another version of Jacamar")
			}
		})
	}
}

// TestWholeJobs: jobs succeed in these deployments.
func TestWholeJobs(t *testing.T) {
	for _, name := range []string{"root", "capabilities", "sudo"} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			if r := s.Runner().Run(s.Job("id -un")); r.Outcome != fakerunner.Success {
				t.Errorf("%s\n%s", r.Outcome, r.Trace)
			}
		})
	}
}
