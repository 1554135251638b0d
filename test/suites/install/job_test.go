package install

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// rootSite is a GitLab and accounts; its programs are not used.
func rootSite(t *testing.T) *site.Site {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it installs packages")
	}
	needRPM(t)
	debian.Need(t, map[string]string{"/usr/sbin/getcap": "libcap2-bin"})
	return site.New(t)
}

// machine is a root with the package installed.
type machine struct {
	*site.Site
	root, auth, config string
	service            *site.Account // nil for root
}

// kinds are the ways to deploy what is installed.
var kinds = []struct {
	name, flavour string
	service       bool
	prepare       func(*testing.T, machine)
}{
	{"root", "jacamar-ci", false, func(*testing.T, machine) {}},
	{"caps", "jacamar-ci-caps", true, func(*testing.T, machine) {}},
	{"sudo", "jacamar-ci", true, allowSudo},
}

// TestInstalled follows the steps of a site: install, init, check, a job.
func TestInstalled(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			m := machine{Site: rootSite(t)}
			m.root = emptyRoot(t, m.Dir, m.Accounts)
			if out, err := rpmInstall(m.root, "--nodeps", packages(t, kind.flavour)); err != nil {
				t.Fatal(out, err)
			}
			sameAsTable(t, m.root, kind.flavour)
			m.auth, m.config = m.root+"/opt/jacamar/bin/jacamar-auth", m.root+"/etc/gitlab-runner/jacamar.toml"
			if kind.service {
				account, err := site.LookupAccount(m.Accounts.Runner)
				if err != nil {
					t.Fatal(err)
				}
				m.service = &account
			}
			notForOthers(t, m)
			kind.prepare(t, m)
			m.initialize(t, kind.name)
			m.job(t)
		})
	}
}

// notForOthers: only its account can execute a program with privileges.
func notForOthers(t *testing.T, m machine) {
	t.Helper()
	for _, who := range []string{"nobody", m.Account.Name} {
		a, err := site.LookupAccount(who)
		if err != nil {
			t.Fatal(err)
		}
		out, err := as(&a, m.auth, "--version").CombinedOutput()
		if !errors.Is(err, syscall.EACCES) {
			t.Errorf("as %s: %v %s", who, err, out)
		}
	}
}

func as(a *site.Account, argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin"}
	if a != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}}
	}
	return cmd
}

// allowSudo gives the service account the program and the installed rule, in
// its own names.
func allowSudo(t *testing.T, m machine) {
	debian.Need(t, map[string]string{"/usr/bin/sudo": "sudo"})
	if err := errors.Join(os.Chown(m.auth, 0, int(m.service.GID)), os.Chmod(m.auth, 0o750)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(m.root + "/opt/jacamar/share/jacamar-ci/sudoers")
	if err != nil {
		t.Fatal(err)
	}
	rule := strings.NewReplacer("%ci-users", m.Account.Name, "/opt/jacamar", m.root+"/opt/jacamar",
		"gitlab-runner", m.service.Name, "JACAMAR", strings.ToUpper(fmt.Sprintf("J%d", os.Getpid()))).Replace(string(text))
	file := fmt.Sprintf("/etc/sudoers.d/jacamar-test-%d", os.Getpid())
	checked := filepath.Join(m.Dir, "sudoers")
	if err := os.WriteFile(checked, []byte(rule), 0o440); err != nil {
		t.Fatal(err)
	}
	must(t, "/usr/sbin/visudo", "-cf", checked)
	t.Cleanup(func() { os.Remove(file) })
	if err := os.WriteFile(file, []byte(rule), 0o440); err != nil {
		t.Fatal(err)
	}
}

// initialize runs init, whose last act is the check.
func (m *machine) initialize(t *testing.T, deployment string) {
	t.Helper()
	runnerConfig := m.root + "/etc/gitlab-runner/config.toml"
	const runners = "concurrent = 8\n\n[[runners]]\n  name = \"login\"\n  executor = \"shell\"\n\n[[runners]]\n  name = \"hpc\"\n  token = \"t0ken\"\n"
	if err := os.WriteFile(runnerConfig, []byte(runners), 0o600); err != nil {
		t.Fatal(err)
	}
	state := m.root + "/var/lib/jacamar"
	argv := []string{
		filepath.Join(filepath.Dir(m.auth), "jacamar-admin"), "init", "--configuration", m.config, "--gitlab-server", m.GitLab.URL, "--tls-ca-file", m.GitLab.CAFile,
		"--deployment", deployment, "--executor", "shell", "--data-dir", "$HOME", "--runner-config", runnerConfig, "--runner", "hpc",
		"--helper-account", m.Accounts.Helper,
	}
	if m.service != nil {
		argv = append(argv, "--service", m.service.Name)
	}
	if deployment == "sudo" {
		state = m.StateDir
		if err := os.Chown(state, int(m.service.UID), int(m.service.GID)); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(state, "auth.log")
	argv = append(argv, "--state-dir", state, "--log", log)
	out, err := as(nil, argv...).CombinedOutput()
	// The check ends with 1 for warnings: sudo's rule is for one account only.
	if code := exitCode(err); code != 0 && code != 1 {
		t.Fatalf("init: %v\n%s", err, out)
	}
	info, err := os.Stat(m.config)
	if err != nil {
		t.Fatal(err)
	}
	mode, group := os.FileMode(0o600), uint32(0)
	if m.service != nil {
		mode, group = 0o640, m.service.GID
	}
	if stat := info.Sys().(*syscall.Stat_t); info.Mode().Perm() != mode || stat.Uid != 0 || stat.Gid != group {
		t.Errorf("mode %v, owner %d:%d", info.Mode(), stat.Uid, stat.Gid)
	}
	text, err := os.ReadFile(runnerConfig)
	if err != nil || !strings.Contains(string(text), m.auth) || !strings.Contains(string(text), "token = \"t0ken\"") {
		t.Errorf("%v; the runner's file:\n%s", err, text)
	}
	if out, err := as(nil, argv...).CombinedOutput(); err == nil || !strings.Contains(string(out), "--force") {
		t.Errorf("a second init: %v\n%s", err, out)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// job runs one through the installed files, and one that fails.
func (m *machine) job(t *testing.T) {
	t.Helper()
	runner := m.Runner()
	runner.Custom.Config = []string{m.auth, "config", "--configuration", m.config}
	runner.Custom.Prepare, runner.Custom.Run = []string{m.auth, "prepare"}, []string{m.auth, "run"}
	runner.Custom.Cleanup = []string{m.auth, "cleanup", "--configuration", m.config}
	if m.service != nil {
		runner.Credential = &fakerunner.Credential{UID: m.service.UID, GID: m.service.GID, Groups: m.service.Groups}
		if err := os.Chown(runner.TempRoot, int(m.service.UID), int(m.service.GID)); err != nil {
			t.Fatal(err)
		}
	}
	r := runner.Run(m.Job("id -un", "echo shell=$JACAMAR_CI_SHELL"))
	if r.Outcome != fakerunner.Success || !strings.Contains(r.Trace, m.Account.Name) || !strings.Contains(r.Trace, "shell=true") {
		t.Errorf("%s %s:\n%s", r.Outcome, r.Reason, r.Trace)
	}
	if r := runner.Run(m.Job("exit 42")); r.ExitCode != 42 {
		t.Errorf("exit 42 ended as %s with %d:\n%s", r.Outcome, r.ExitCode, r.Trace)
	}
}
