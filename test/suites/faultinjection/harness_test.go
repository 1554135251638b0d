package faultinjection

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// harness is a site whose programs can be traced.
type harness struct {
	deployment string
	site       *site.Site
	// traces is where tracers write, evidence where jobs do; every account can write there.
	traces, evidence string
	// wrappers are what the site has for jacamar and jacamar-keys.
	wrappers map[program]wrapper
	// truth is what a script must record of itself.
	truth string
	jobs  int
	log   reader
	// contained is where its scripts run in containers, nil for none.
	contained *contained
}

// harnesses sets a site up for each deployment with another way to the account.
func harnesses(t *testing.T, test func(*testing.T, *harness)) {
	t.Helper()
	needStrace(t)
	for _, d := range site.Deployments() {
		if d.Name != "root" && d.Name != "capabilities" && d.Name != "user" {
			continue
		}
		t.Run(d.Name, func(t *testing.T) { test(t, newHarness(t, d)) })
	}
}

func newHarness(t *testing.T, d site.Deployment) *harness {
	t.Helper()
	r := openHarness(t, d)
	r.learn(t, r.site.Account.UID)
	return r
}

// openHarness sets one up, with more changes to its configuration.
func openHarness(t *testing.T, d site.Deployment, change ...func(*harness, site.Config)) *harness {
	t.Helper()
	r := &harness{deployment: d.Name, site: d.Open(t)}
	r.traces, r.evidence = filepath.Join(r.site.Dir, "traces"), filepath.Join(r.site.Dir, "evidence")
	if err := r.separate(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{r.traces, r.evidence} {
		if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(r.unwrap(), r.site.Reconfigure(func(c site.Config) {
		c.Set("general", "kill_timeout", "3s")
		c.Set("auth", "jacamar_path", r.wrappers[jacamar].path)
		for _, f := range change {
			f(r, c)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// learn runs a job without faults, whose script must have the user id.
func (r *harness) learn(t *testing.T, uid uint32) {
	t.Helper()
	e := r.run(0, nil)
	if e.result.Outcome != fakerunner.Success || len(e.recorded) != 1 {
		t.Fatalf("without a fault the job ended as %s, and recorded %q:\n%s", e.result.Outcome, e.recorded, e.result.Trace)
	}
	if want := fmt.Sprintf("Uid: %[1]d %[1]d %[1]d %[1]d;", uid); !strings.Contains(e.recorded[0], want) {
		t.Fatalf("the script is not the account's: %q", e.recorded[0])
	}
	r.truth = e.recorded[0]
}

// separate gives the site a jacamar-auth in a directory without other sites' programs.
func (r *harness) separate() error {
	shared, bin := filepath.Dir(r.site.Jacamar), filepath.Join(r.site.Dir, "bin")
	r.wrappers = map[program]wrapper{
		jacamar: {filepath.Join(bin, "jacamar"), r.site.Jacamar},
		fetcher: {filepath.Join(bin, "jacamar-keys"), filepath.Join(shared, "jacamar-keys")},
	}
	if filepath.Dir(r.site.Auth) == bin {
		return nil
	}
	auth := filepath.Join(bin, "jacamar-auth")
	err := errors.Join(os.Mkdir(bin, 0o755), exec.Command("cp", r.site.Auth, auth).Run(), os.Chmod(auth, 0o755))
	r.site.Auth = auth
	return err
}

// wrapper is a script instead of a program.
type wrapper struct{ path, program string }

// wrap makes it the program itself, started by the given command.
func (w wrapper) wrap(words ...string) error {
	text := "#!/bin/sh\nexec " + strings.Join(append(words, w.program), " ") + ` "$@"` + "\n"
	next := w.path + ".new"
	return errors.Join(os.WriteFile(next, []byte(text), 0o600), os.Chmod(next, 0o755), os.Rename(next, w.path))
}

func (r *harness) unwrap() error {
	return errors.Join(r.wrappers[jacamar].wrap(), r.wrappers[fetcher].wrap())
}

// forget removes the cached keys.
func (r *harness) forget() error {
	kept, err := filepath.Glob(filepath.Join(r.site.StateDir, "keys-*"))
	for _, file := range kept {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// traced runs a job of which one program is traced in one stage, the first time
// that the runner reaches it.
func (r *harness) traced(p program, stage string, code int, words ...string) (e ended, log string, err error) {
	log = filepath.Join(r.traces, fmt.Sprint("log", r.jobs))
	armed := true
	if stage == keyless {
		stage, err = "config", r.forget()
	}
	e = r.run(code, func(s string) []string {
		if s != stage || !armed {
			if err == nil {
				err = r.unwrap()
			}
			return nil
		}
		armed = false
		line := traced(log, words...)
		if w, wrapped := r.wrappers[p]; wrapped {
			err = errors.Join(err, w.wrap(line...))
			return nil
		}
		if service := r.site.Service(); service != nil {
			line = append(line, "-u", service.Name)
		}
		return append(line, "--")
	})
	return e, log, errors.Join(err, r.unwrap())
}

// counts is how often each call happens in a program in a stage.
func (r *harness) counts(p program, stage string) (map[string]int, error) {
	e, log, err := r.traced(p, stage, 0)
	defer os.Remove(log)
	if err != nil {
		return nil, err
	}
	if e.result.Outcome != fakerunner.Success {
		return nil, fmt.Errorf("traced, the job ended as %s: %s", e.result.Outcome, e.result.Trace)
	}
	return counted(log)
}
