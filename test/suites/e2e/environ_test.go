package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// assignments runs every program on which an injected variable has an effect, and records
// the environment.
func (g envInjection) assignments(who string) string {
	lines := []string{fmt.Sprintf("env -0 >>%[1]s/%[2]s; if [ ! -e %[1]s/%[2]s.ran ]; then", g.seen, who)}
	for _, p := range injections {
		if p.acts != nil {
			lines = append(lines, "'"+strings.Join(p.acts, "' '")+"' </dev/null >/dev/null 2>&1 || :")
		}
	}
	return strings.Join(append(lines, ": >"+g.seen+"/"+who+".ran; fi"), "\n")
}

// places are where variables can be injected.
var places = map[string]func(*testing.T, envInjection, *fakerunner.Runner, *fakerunner.Job){
	"the runner's environment": func(_ *testing.T, g envInjection, r *fakerunner.Runner, _ *fakerunner.Job) {
		r.Environ = append(r.Environ, g.pairs()...)
	},
	"job_env": func(t *testing.T, g envInjection, r *fakerunner.Runner, _ *fakerunner.Job) {
		forge(t, g, r)
	},
	"CUSTOM_ENV_": func(_ *testing.T, g envInjection, r *fakerunner.Runner, _ *fakerunner.Job) {
		for _, pair := range g.pairs() {
			r.Environ = append(r.Environ, "CUSTOM_ENV_"+pair)
		}
	},
	// As GitLab accepts them; the script exports them, which bash refuses for two.
	"the job's variables": func(_ *testing.T, g envInjection, _ *fakerunner.Runner, j *fakerunner.Job) {
		for _, pair := range g.pairs() {
			if name, value, _ := strings.Cut(pair, "="); !strings.Contains(name, "%") && !strings.HasSuffix(name, "OPTS") {
				j.Variables = append(j.Variables, fakerunner.Variable{Key: name, Value: value, Raw: true})
			}
		}
	},
}

// forge adds the injected variables to config's output, as if the driver had put them
// into job_env itself.
func forge(t *testing.T, g envInjection, r *fakerunner.Runner) {
	t.Helper()
	env := map[string]string{}
	for _, pair := range g.pairs() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	more, err := json.Marshal(env)
	testutil.Must(t, err)
	file := filepath.Join(g.evil, "job_env")
	testutil.Must(t, os.WriteFile(file, bytes.Trim(more, "{}"), 0o644))
	const program = `answer=$("${@:2}") || exit; printf %s "${answer/'"job_env":{'/'"job_env":{'$(<"$1"),}"`
	r.Custom.Config = append([]string{"/bin/bash", "-c", program, "bash", file}, r.Custom.Config...)
}

// TestMarkersHaveNoEffect injects variables in each place. None has an effect in the
// privileged program, in the RunAs script that it starts, in jacamar or in the profiles;
// and in the script only those that the job itself exports, as the job's account.
func TestMarkersHaveNoEffect(t *testing.T) {
	var proved sync.Once
	for _, name := range []string{"root", "capabilities", "sudo"} {
		t.Run(name, func(t *testing.T) {
			s := deployment(t, name).Open(t)
			g := newInjection(t, s)
			proved.Do(func() { g.verifyEach(t) })
			script := filepath.Join(s.Dir, "runas")
			testutil.Must(t, os.WriteFile(script, []byte("#!/bin/bash\n"+g.assignments("runas")+"\n"), 0o755))
			testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("auth", "runas", site.Table{"validation_script": script}) }))
			inHome(t, s, ".bash_profile", g.assignments("profile")+"\n")
			for place, poison := range places {
				t.Run(place, func(t *testing.T) { g.inject(t, s, poison, place == "the job's variables") })
			}
		})
	}
}

func (g envInjection) inject(t *testing.T, s *site.Site, poison func(*testing.T, envInjection, *fakerunner.Runner, *fakerunner.Job), asked bool) {
	testutil.Must(t, os.RemoveAll(g.seen))
	testutil.Must(t, os.Mkdir(g.seen, 0o777))
	testutil.Must(t, os.Chmod(g.seen, 0o777))
	g.clear(t)
	r, j := s.Runner(), s.Job()
	gate := filepath.Join(g.seen, "gate")
	testutil.Must(t, unix.Mkfifo(gate, 0o600))
	testutil.Must(t, os.Chown(gate, int(s.Account.UID), int(s.Account.GID)))
	j.Script = []string{"echo jacamar: $PPID.; read -r line <" + gate, g.assignments("script")}
	poison(t, g, r, &j)
	e := r.Start(j)
	site.Want(t, g.lookAtJacamar(t, e, gate), fakerunner.Success, 0)
	for _, f := range g.found(t) {
		info, err := f.Info()
		testutil.Must(t, err)
		if uid := info.Sys().(*syscall.Stat_t).Uid; !asked || uid != s.Account.UID {
			t.Errorf("%s had an effect, as the user %d", f.Name(), uid)
		}
	}
	for _, who := range []string{"runas", "jacamar", "profile", "script"} {
		if asked && who == "script" {
			continue
		}
		if _, err := os.Stat(filepath.Join(g.seen, who+".ran")); err != nil {
			t.Errorf("%s did not run: %v", who, err)
		}
		if had := g.inherited(t, who); len(had) > 0 {
			t.Errorf("%s got %q", who, had)
		}
	}
	s.NoProcess(t, 0)
}

// lookAtJacamar records the environment of the jacamar whose script waits, which only
// root can read. Then it lets the script continue.
func (g envInjection) lookAtJacamar(t *testing.T, e *fakerunner.Execution, gate string) fakerunner.Result {
	t.Helper()
	open, err := os.OpenFile(gate, os.O_RDWR, 0)
	testutil.Must(t, err)
	defer open.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	err = e.AwaitOutput(ctx, "build_script", "\njacamar: ")
	pid := regexp.MustCompile(`(?m)^jacamar: (\d+)\.`).FindStringSubmatch(e.Trace())
	if err != nil || pid == nil {
		e.Abort()
		t.Fatalf("no jacamar (%v) in\n%s", err, e.Wait().Trace)
	}
	text, err := os.ReadFile(filepath.Join("/proc", pid[1], "environ"))
	testutil.Must(t, err)
	testutil.Must(t, errors.Join(os.WriteFile(filepath.Join(g.seen, "jacamar"), text, 0o600), os.WriteFile(filepath.Join(g.seen, "jacamar.ran"), nil, 0o600)))
	_, err = open.WriteString("\n")
	testutil.Must(t, err)
	return e.Wait()
}

// inherited are the injected variables that a process found in its environment.
func (g envInjection) inherited(t *testing.T, who string) (had []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.seen, who))
	testutil.Must(t, err)
	pairs := strings.Split(string(text), "\x00")
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		if slices.Contains(g.names(), name) && slices.Contains(g.pairs(), pair) || strings.Contains(value, g.evil) {
			had = append(had, pair)
		}
	}
	if len(pairs) < 2 {
		t.Errorf("%s had no environment at all", who)
	}
	return had
}

// TestCertificatesOfTheCaller: a file of certificate authorities that the environment
// names certifies no key server. The same authorities in the configuration do.
func TestCertificatesOfTheCaller(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		r := under(s)
		r.Environ = append(r.Environ, "SSL_CERT_FILE="+s.GitLab.CAFile, "SSL_CERT_DIR="+filepath.Dir(s.GitLab.CAFile))
		testutil.Must(t, s.Reconfigure(func(c site.Config) { c.Set("general", "tls-ca-file", nil) }))
		res := r.Run(s.Job("echo never"))
		site.Want(t, res, fakerunner.SystemFailure, 0)
		if text := all(res); strings.Contains(text, "$ echo never") || !strings.Contains(text, "certificate") {
			t.Errorf("want no script, and a certificate that is refused, in:\n%s", text)
		}
		testutil.Must(t, s.Reconfigure())
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
	})
}
