package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/config"
	"jacamar-ci/test/harness/setup/debian"
)

// shared installs the files that a site uses of rpm/share, with its prefix filled in.
func shared(t *testing.T) string {
	t.Helper()
	dest := t.TempDir()
	must(t, filepath.Join(top, "rpm/install-share"), dest, "/opt/jacamar")
	return filepath.Join(dest, "opt/jacamar/share/jacamar-ci")
}

// tool skips without a program; as root its package is installed first.
func tool(t *testing.T, path, pkg string) {
	t.Helper()
	debian.Need(t, map[string]string{path: pkg})
}

func TestSudoers(t *testing.T) {
	tool(t, "/usr/sbin/visudo", "sudo")
	file := filepath.Join(shared(t), "sudoers")
	must(t, "/usr/sbin/visudo", "-cf", file)
	must(t, "/usr/sbin/visudo", "-cf", file+"-ops")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// sudo 1.9.14 runs commands in a terminal of their own by default,
	// and jacamar's standard input is a socket.
	for _, want := range []string{"!use_pty", "!log_input", "!log_output", "/opt/jacamar/bin/jacamar run"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the rule lacks %s", want)
		}
	}
	if strings.Contains(string(text), "ALL = (ALL") {
		t.Error("the rule is for every account")
	}
}

// TestUnits: systemd accepts the units, and file capabilities and sudo work with all of
// their settings.
func TestUnits(t *testing.T) {
	tool(t, "/usr/bin/systemd-analyze", "systemd")
	dir := t.TempDir()
	must(t, "cp", "-r", filepath.Join(shared(t), "systemd")+"/.", dir)
	const runner = "[Unit]\nDescription=GitLab Runner\n[Service]\nExecStart=/bin/true\n"
	if err := os.WriteFile(dir+"/gitlab-runner.service", []byte(runner), 0o644); err != nil {
		t.Fatal(err)
	}
	// The program of the unit is not installed on this machine.
	for _, name := range []string{"jacamar-digest.service", "jacamar-keys.service", "jacamar-reap.service", "jacamar-status.service"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Replace(string(text), "/opt/jacamar/bin/jacamar-admin", "/bin/true", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, unit := range []string{"gitlab-runner.service", "jacamar-digest.service", "jacamar-digest.timer", "jacamar-keys.service", "jacamar-keys.timer", "jacamar-reap.service", "jacamar-reap.timer", "jacamar-status.service", "jacamar-status.timer"} {
		out, err := run(dir, "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", filepath.Join(dir, unit))
		if err != nil || strings.Contains(out, "Unknown") || strings.Contains(out, "Failed to parse") {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
	must(t, "systemd-analyze", "calendar", "hourly")
	for _, file := range []string{"jacamar-keys.service", "gitlab-runner.service.d/jacamar.conf"} {
		noNewPrivileges(t, filepath.Join(dir, file))
	}
}

// implied set no_new_privs for a service whose User= is not root (systemd.exec(5),
// under NoNewPrivileges=).
var implied = []string{
	"DynamicUser", "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices", "ProtectClock", "ProtectHostname", "ProtectKernelLogs",
	"ProtectKernelModules", "ProtectKernelTunables", "RestrictAddressFamilies", "RestrictFileSystems", "RestrictNamespaces", "RestrictRealtime",
	"RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter", "SystemCallLog",
}

func noNewPrivileges(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		if slices.Contains(implied, m[1]) || (m[1] == "NoNewPrivileges" && m[2] != "no") {
			t.Errorf("%s: %s takes the privileges away", file, m[0])
		}
	}
}

// TestStopTimes: systemd waits longer than the runner should, and the runner
// longer than a job has.
func TestStopTimes(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(shared(t), "systemd/gitlab-runner.service.d/jacamar.conf"))
	if err != nil {
		t.Fatal(err)
	}
	seconds := func(pattern string) time.Duration {
		m := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
		if m == nil {
			t.Fatalf("no %s", pattern)
		}
		d, err := time.ParseDuration(m[1] + "s")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	service, runner := seconds(`(?m)^TimeoutStopSec=(\d+)$`), seconds(`shutdown_timeout = (\d+)`)
	i := slices.IndexFunc(config.Reference(), func(k config.Key) bool { return k.Path == "general.kill_timeout" })
	job, err := time.ParseDuration(config.Reference()[i].Default.(string))
	if err != nil || service <= runner || runner <= job {
		t.Errorf("%v: service %v, runner %v, job %v", err, service, runner, job)
	}
}

// TestRunnerLimits: the runner's unit lets no job use all processes of the host,
// and keeps the runner's files where no other account can use up the space.
func TestRunnerLimits(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(shared(t), "systemd/gitlab-runner.service.d/jacamar.conf"))
	if err != nil {
		t.Fatal(err)
	}
	setting := func(name string) string {
		m := regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(string(text), -1)
		if len(m) != 1 {
			t.Fatalf("%s is set %d times", name, len(m))
		}
		return m[0][1]
	}
	if share, err := strconv.Atoi(strings.TrimSuffix(setting("TasksMax"), "%")); err != nil || share < 1 || share > 90 {
		t.Errorf("TasksMax=%s: %v", setting("TasksMax"), err)
	}
	if processes, err := strconv.Atoi(setting("LimitNPROC")); err != nil || processes < 4096 || processes > 1<<17 {
		t.Errorf("LimitNPROC=%s: %v", setting("LimitNPROC"), err)
	}
	dir := setting("CacheDirectory")
	if setting("CacheDirectoryMode") != "0700" || setting("Environment=TMPDIR") != "%C/"+dir || strings.Contains(dir, "/") {
		t.Errorf("TMPDIR is %s, and %s has mode %s", setting("Environment=TMPDIR"), dir, setting("CacheDirectoryMode"))
	}
	for _, flavour := range flavours {
		rules, err := os.ReadFile(filepath.Join(top, "rpm/tmpfiles-"+flavour+".conf"))
		if err != nil || !strings.Contains(string(rules), "\ne /var/cache/"+dir+" - - - 30d\n") {
			t.Errorf("%s: %v: nothing clears /var/cache/%s in\n%s", flavour, err, dir, rules)
		}
	}
}

func TestLogrotate(t *testing.T) {
	tool(t, "/usr/sbin/logrotate", "logrotate")
	out, err := run("", "/usr/sbin/logrotate", "--debug", filepath.Join(shared(t), "logrotate"))
	if err != nil || strings.Contains(out, "error:") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestRsyslog(t *testing.T) {
	tool(t, "/usr/sbin/rsyslogd", "rsyslog")
	if out, err := run("", "/usr/sbin/rsyslogd", "-N1", "-f", filepath.Join(shared(t), "rsyslog.conf")); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSELinuxModule(t *testing.T) {
	if _, err := exec.LookPath("/usr/bin/checkmodule"); err != nil && os.Geteuid() != 0 {
		t.Skip("checkmodule is not installed")
	}
	debian.Need(t, map[string]string{"/usr/bin/checkmodule": "checkpolicy", "/usr/bin/semodule_package": "semodule-utils"})
	dir := filepath.Join(shared(t), "selinux")
	if out, err := run(dir, "make"); err != nil {
		t.Fatal(err, out)
	}
	if info, err := os.Stat(dir + "/jacamar.pp"); err != nil || info.Size() == 0 {
		t.Error(err)
	}
}

// TestShellSyntax: a shell can parse the shell scripts.
func TestShellSyntax(t *testing.T) {
	for _, file := range []string{"rpm/verify", "rpm/install-share", "docs/completions/jacamar-auth.bash", "docs/completions/jacamar-admin.bash", "docs/completions/jacamar.bash"} {
		must(t, "bash", "-n", filepath.Join(top, file))
	}
}
