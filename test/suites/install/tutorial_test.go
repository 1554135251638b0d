package install

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// fresh gives one process and its children a new machine: their own /opt, /etc, /var/lib
// and packages. dnf runs rpm, without the dependencies that only a distribution with rpm
// has.
const fresh = `set -eu
mount -t tmpfs -o mode=0755 none /opt
mount -t tmpfs -o mode=0755 none /usr/lib/tmpfiles.d
cp -a /etc "$SCRATCH/etc" && mount --bind "$SCRATCH/etc" /etc
mount -t tmpfs -o mode=0755 none /var/lib
mount -t tmpfs -o mode=0755 none "$TREE/dist"
mkdir -p /etc/gitlab-runner /var/lib/rpm
rm -rf /etc/gitlab-runner/*
rpm --dbpath /var/lib/rpm --initdb
` + dnf + `
printf '[[runners]]\n  name = "tutorial"\n' >/etc/gitlab-runner/config.toml
chmod 0600 /etc/gitlab-runner/config.toml
cd "$TREE"
`

// dnf installs packages on a fresh machine: rpm does not know the packages of Debian.
const dnf = `dnf() { shift 2; rpm --dbpath /var/lib/rpm -i --nodeps "$@"; }`

// play runs the test's job as the runner would, with the runner's config.toml as the
// tutorial has changed it.
const play = `
grep -q 'config_exec = "/opt/jacamar/bin/jacamar-auth"' /etc/gitlab-runner/config.toml
"$FAKERUNNER" <"$SCRATCH/order.json" >"$SCRATCH/result.json"
`

// TestTutorial runs the blocks of the tutorial, in order and in one shell, and
// then the job that it ends with.
func TestTutorial(t *testing.T) {
	s := rootSite(t)
	if out, err := run("", "unshare", "--mount", "true"); err != nil {
		t.Skipf("this machine gives root no mount namespace: %s", out)
	}
	text, err := os.ReadFile(filepath.Join(top, "docs/tutorial.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 4 {
		t.Fatalf("only %d blocks were found", len(blocks))
	}
	script := fresh
	for _, b := range blocks {
		script += b[1]
	}
	// The server of the test has a certificate of its own, and there is no syslog.
	const server = "--gitlab-server https://gitlab.example.com"
	if !strings.Contains(script, server) {
		t.Fatalf("no block has %q", server)
	}
	script = strings.Replace(script, server, "--gitlab-server "+s.GitLab.URL+" --tls-ca-file "+s.GitLab.CAFile+" --log /var/lib/jacamar/auth.log", 1)
	const account = "selftest --account alice"
	if !strings.Contains(script, account) {
		t.Fatalf("no block has %q", account)
	}
	script = strings.Replace(script, account, "selftest --account "+s.Account.Name, 1)
	r := inFresh(t, s, script+play)
	if r.Outcome != fakerunner.Success || !strings.Contains(r.Trace, s.Account.Name+"\n") {
		t.Errorf("%s %s:\n%s", r.Outcome, r.Reason, r.Trace)
	}
}

// inFresh runs the tutorial's script on a fresh machine and returns the job's end.
func inFresh(t *testing.T, s *site.Site, script string) fakerunner.Result {
	t.Helper()
	r, out := played(t, s, wiredTo("/opt/jacamar/bin/jacamar-auth", s), script)
	if text := strings.Join(strings.Fields(out), " "); !strings.Contains(text, "By root Because") || !strings.Contains(text, "a job ran as "+s.Account.Name) {
		t.Errorf("explain did not refuse root because it is root, or there was no trial:\n%s", out)
	}
	return r
}

// played runs a script in a mount namespace, which ends with a job of the runner.
func played(t *testing.T, s *site.Site, runner *fakerunner.Runner, script string) (r fakerunner.Result, output string) {
	t.Helper()
	scratch, environ := ordered(t, s, runner)
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "bash", "-c", script)
	cmd.Env = append(environ, "SCRATCH="+scratch)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return resultIn(t, scratch), string(out)
}

// ordered makes a directory with the order of a job, and the environment of a script that
// plays it.
func ordered(t *testing.T, s *site.Site, runner *fakerunner.Runner) (scratch string, environ []string) {
	t.Helper()
	tree, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(tree, "dist"), 0o755); err != nil {
		t.Fatal(err)
	}
	if scratch, err = os.MkdirTemp(s.Dir, "tutorial-"); err != nil {
		t.Fatal(err)
	}
	order, err := json.Marshal(fakerunner.Order{Runner: runner, Job: s.Job("id -un")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(scratch+"/order.json", order, 0o600); err != nil {
		t.Fatal(err)
	}
	return scratch, append(os.Environ(), "TREE="+tree, "FAKERUNNER="+filepath.Join(s.Helper, "fakerunner"))
}

// resultIn is that of the job whose order was in a directory.
func resultIn(t *testing.T, scratch string) (r fakerunner.Result) {
	t.Helper()
	result, err := os.ReadFile(scratch + "/result.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(result, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// wiredTo is the runner as init wires it.
func wiredTo(auth string, s *site.Site) *fakerunner.Runner {
	const file = "/etc/gitlab-runner/jacamar.toml"
	r := s.Runner()
	r.Custom.Config, r.Custom.Cleanup = []string{auth, "config", "--configuration", file}, []string{auth, "cleanup", "--configuration", file}
	r.Custom.Prepare, r.Custom.Run = []string{auth, "prepare"}, []string{auth, "run"}
	return r
}
