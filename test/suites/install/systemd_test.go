package install

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// boot makes a machine of the mounts that are there: a systemd as process 1 that starts
// nothing but its journal and one unit, which runs $SCRATCH/first. Its end is the end of
// the machine. What systemd would change outside of the namespaces is read-only, or not
// started: the controllers of version 1 have groups of this machine.
const boot = `
mount -t tmpfs -o mode=0755 none /run
mount -t tmpfs -o mode=0755 none /var/log
mkdir -p /etc/systemd/system "$SCRATCH/dev"
rm -rf /etc/systemd/system/*.wants /etc/systemd/system.conf.d /etc/fstab
mount -t tmpfs -o mode=0755 none "$SCRATCH/dev"
for name in null zero full random urandom tty; do
  : >"$SCRATCH/dev/$name"
  mount --bind "/dev/$name" "$SCRATCH/dev/$name"
done
mkdir "$SCRATCH/dev/shm" "$SCRATCH/dev/pts"
mount -t tmpfs -o mode=1777 none "$SCRATCH/dev/shm"
ln -s /proc/self/fd "$SCRATCH/dev/fd"
mount --rbind "$SCRATCH/dev" /dev
mount -o remount,bind,ro /sys
if [ "$UNIFIED" = yes ]; then
  mount -t cgroup2 none /sys/fs/cgroup
else
  mount -t tmpfs -o mode=0755 none /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd none /sys/fs/cgroup/systemd
  mount -t cgroup2 none /sys/fs/cgroup/unified
  mount -o remount,ro /sys/fs/cgroup
fi
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
units=/usr/lib/systemd/system
[ -d $units ] || units=/lib/systemd/system
for target in sysinit sockets local-fs multi-user timers basic; do
  [ ! -d $units/$target.target.wants ] || mount -t tmpfs -o mode=0755 none $units/$target.target.wants
done
printf '[Journal]\nAudit=no\nStorage=volatile\n' >/etc/systemd/journald.conf
cat >/etc/systemd/system/first.service <<END
[Unit]
Wants=systemd-journald.socket systemd-journald-dev-log.socket
After=systemd-journald.socket systemd-journald-dev-log.socket
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/bin/bash $SCRATCH/first
Environment=SCRATCH=$SCRATCH TREE=$TREE FAKERUNNER=$FAKERUNNER
StandardOutput=append:$SCRATCH/output
StandardError=append:$SCRATCH/output
TimeoutStartSec=50
END
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=first.service --log-target=null
`

// cgroups are the hierarchies that systemd needs, and whether there is only version 2.
func cgroups() (roots []string, unified bool) {
	const base = "/sys/fs/cgroup/"
	if _, err := os.Stat(base + "cgroup.controllers"); err == nil {
		return []string{base}, true
	}
	return []string{base + "systemd", base + "unified"}, false
}

// controlGroup makes a control group for a machine in each hierarchy, and returns the
// shell text that enters them. They are gone at the end of the test.
func controlGroup(t *testing.T) (enter string) {
	t.Helper()
	roots, unified := cgroups()
	for _, root := range roots {
		dir, err := os.MkdirTemp(root, "jacamar-test-")
		if err != nil {
			t.Skipf("systemd cannot be started here: it needs a control group of its own: %v", err)
		}
		t.Cleanup(func() { removeGroups(t, dir) })
		enter += fmt.Sprintf("echo $$ >%s/cgroup.procs\n", dir)
	}
	if unified {
		return enter + "export UNIFIED=yes\n"
	}
	return enter + "export UNIFIED=no\n"
}

// removeGroups removes a control group with those in it, whose processes have ended.
func removeGroups(t *testing.T, top string) {
	t.Helper()
	var all []string
	_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	slices.Reverse(all)
	for _, dir := range all {
		err := os.Remove(dir)
		for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); err = os.Remove(dir) {
			time.Sleep(20 * time.Millisecond) // a process that has ended leaves its group a little later, without an event
		}
		if err != nil {
			t.Errorf("a control group is left: %v", err)
		}
	}
}

// booted starts a systemd that runs a script, after preparing the machine by another, and
// returns what the script printed. Each has the variables SCRATCH, TREE and FAKERUNNER.
func booted(t *testing.T, scratch string, environ []string, prepare, script string) (output string, err error) {
	t.Helper()
	if err := os.WriteFile(scratch+"/first", []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	machine := controlGroup(t) + "exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc --cgroup --ipc --uts bash -c \"$MACHINE\"\n"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euc", machine)
	cmd.Env = append(environ, "SCRATCH="+scratch, "MACHINE=set -eu\n"+prepare+boot)
	cmd.WaitDelay = 10 * time.Second
	early, failed := cmd.CombinedOutput()
	text, err := os.ReadFile(scratch + "/output")
	if err != nil {
		return string(early), fmt.Errorf("systemd did not start the script: %w, %w", err, failed)
	}
	return string(text), failed
}

// needSystemd skips where systemd cannot be process 1 of a namespace.
func needSystemd(t *testing.T, s *site.Site) {
	t.Helper()
	debian.Need(t, map[string]string{"/lib/systemd/systemd": "systemd"})
	scratch, err := os.MkdirTemp(s.Dir, "boot-")
	if err != nil {
		t.Fatal(err)
	}
	const prepare = "cp -a /etc \"$SCRATCH/etc\" && mount --bind \"$SCRATCH/etc\" /etc\nmount -t tmpfs -o mode=0755 none /var/lib\n"
	out, err := booted(t, scratch, append(os.Environ(), "TREE=/", "FAKERUNNER=/"), prepare, "systemctl show --property=Version --value\n")
	if err != nil {
		t.Skipf("systemd cannot be started in namespaces here: %v\n%s", err, out)
	}
	t.Logf("systemd %s", strings.TrimSpace(out))
}

// runnerUnit is the runner's service as gitlab-runner install writes it, but that it ends
// after one job, and shows what it has of its unit.
const runnerUnit = `
install -D "$FAKERUNNER" /opt/gitlab-runner/gitlab-runner
cat >/etc/systemd/system/gitlab-runner.service <<END
[Unit]
Description=GitLab Runner
[Service]
Type=oneshot
ExecStartPre=/bin/sh -c 'id -un; env; cat /proc/self/limits; grep -H . /proc/self/cgroup; umask'
ExecStart=/opt/gitlab-runner/gitlab-runner "run" "--config" "/etc/gitlab-runner/config.toml"
StandardInput=file:$SCRATCH/order.json
StandardOutput=append:$SCRATCH/runner
StandardError=journal
END
`

// inScript begins what the first unit runs.
const inScript = `set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
trap '[ $? = 0 ] || { systemctl --failed --no-pager; journalctl --no-pager -n 30; }' EXIT
cd "$TREE"
` + dnf + "\n"

// units starts every service of the package, which must succeed, and its timer; lets init
// limit the processors of the runner's service; and makes accounts and directories again.
const units = `
for unit in keys status reap digest; do
  systemctl start "jacamar-$unit.service"
  systemctl is-active "jacamar-$unit.timer"
  test "$(systemctl show --property=Result --value "jacamar-$unit.service")" = success
  test -n "$(systemctl show --property=NextElapseUSecRealtime --value "jacamar-$unit.timer")"
done
test -s /var/lib/jacamar-status/index.html
rm /etc/systemd/system/gitlab-runner.service.d/jacamar.conf
/opt/jacamar/bin/jacamar-admin init --wire --runner-config /etc/gitlab-runner/config.toml || [ $? -eq 1 ]
systemctl daemon-reload
systemctl show --property=Environment --value gitlab-runner | grep -w GOMAXPROCS=4
sed -i '/^jacamar[:-]/d' /etc/passwd /etc/group /etc/shadow /etc/gshadow
cp "$TREE/rpm/sysusers-$PACKAGE.conf" "/etc/sysusers-$PACKAGE.conf"
systemd-sysusers "/etc/sysusers-$PACKAGE.conf"
getent passwd jacamar
getent group jacamar-ops
rm -rf /var/lib/jacamar
systemd-tmpfiles --create "$TREE/rpm/tmpfiles-$PACKAGE.conf"
stat -c '%A %U:%G %n' /var/lib/jacamar
`

// unitCommands are the commands of the documentation that install the timers.
func unitCommands(t *testing.T) (script string) {
	t.Helper()
	for _, page := range []string{"docs/install.md", "docs/operations.md"} {
		text, err := os.ReadFile(filepath.Join(top, page))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "systemctl link ") || strings.HasPrefix(line, "systemctl enable ") {
				script += line
			}
		}
	}
	if strings.Count(script, "\n") != 8 {
		t.Fatalf("the pages install other than four units with their timers:\n%s", script)
	}
	return script
}

// TestSystemd follows deployments word for word on a machine with a real systemd: the
// runner's service, with the drop-ins of the page, plays a job, and the timers' services
// of the package run.
func TestSystemd(t *testing.T) {
	for _, d := range []struct {
		section, pkg, user, state string
	}{
		{"Root", "jacamar-ci", "root", "drwx------ root:root /var/lib/jacamar"},
		{"Capabilities", "jacamar-ci-caps", "gitlab-runner", "drwx------ jacamar:jacamar /var/lib/jacamar"},
	} {
		t.Run(d.section, func(t *testing.T) {
			s := rootSite(t)
			needSystemd(t, s)
			page, service, variables := deployment(t, s, d.section)
			r := wiredTo("/opt/jacamar/bin/jacamar-auth", s)
			if d.user != "root" {
				must(t, "chown", service.Name+":", r.TempRoot)
			}
			scratch, environ := ordered(t, s, r)
			script := inScript + "PACKAGE=" + d.pkg + "\n" + page + unitCommands(t) + units
			out, err := booted(t, scratch, environ, variables+withAccount+runnerUnit, script)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			served(t, scratch, d.user, s.Account.Name)
			if !strings.Contains(out, d.state) || !strings.Contains(out, "\njacamar-ops:") {
				t.Errorf("%s, or no group jacamar-ops, is missing:\n%s", d.state, out)
			}
		})
	}
}

// served judges what the runner's service had of its unit, and its job.
func served(t *testing.T, scratch, user, account string) {
	t.Helper()
	text, err := os.ReadFile(scratch + "/runner")
	if err != nil {
		t.Fatal(err)
	}
	unit, result, _ := strings.Cut(string(text), "\n{")
	for _, want := range []string{
		user + "\n", "\nGOMAXPROCS=4\n", "\nTMPDIR=/var/cache/jacamar-runner\n", "Max core file size        0 ", "Max processes             32768 ",
		"/system.slice/gitlab-runner.service\n", "\n0077",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("the service has no %q in:\n%s", want, unit)
		}
	}
	if err := os.WriteFile(scratch+"/result.json", []byte("{"+result), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := resultIn(t, scratch); r.Outcome != fakerunner.Success || !strings.Contains(r.Trace, "\n"+account+"\n") {
		t.Errorf("%s %s:\n%s", r.Outcome, r.Reason, r.Trace)
	}
}
