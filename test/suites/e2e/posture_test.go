package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// looks is a script that prints its attributes, through a child: bash itself ignores
// SIGQUIT.
const looks = `
sed 's/^/status /' /proc/self/status
sed 's/^/limit /' /proc/self/limits
for fd in /proc/$BASHPID/fd/*; do [ -L $fd ] && { printf 'fd %s ' ${fd##*/}; readlink $fd; }; done
for name in $(compgen -e); do echo "variable $name"; done
read -r pid comm state ppid pgrp session tty rest </proc/$BASHPID/stat
echo "session own $((session == $$ && pgrp == $$))"
echo "tty $tty"
if { : </dev/tty; } 2>/dev/null; then echo "terminal yes"; else echo "terminal no"; fi
echo "umask $(umask)"
echo "dir $PWD"
echo "groups $(id -G)"
`

// hostile starts the driver as no service manager would: with signals ignored and
// blocked, open descriptors, a closed umask and variables that affect a shell.
func hostile(s *site.Site) *fakerunner.Runner {
	launcher := []string{"/usr/bin/env", "--ignore-signal=HUP,PIPE,TERM,CHLD,QUIT", "--block-signal=USR1,TERM"}
	if s.Service() == nil && os.Geteuid() == 0 {
		launcher = append(launcher, "/usr/bin/setpriv", "--groups", "0,4,24")
	}
	launcher = append(launcher, "/bin/sh", "-c", `umask 077; exec 5</etc/passwd 9>/dev/null; exec "$0" "$@"`)
	r := s.Runner()
	for _, command := range []*[]string{&r.Custom.Config, &r.Custom.Prepare, &r.Custom.Run, &r.Custom.Cleanup} {
		*command = slices.Concat(launcher, *command)
	}
	r.Environ = append(r.Environ, "BASH_ENV=/nonexistent", "SHELLOPTS=xtrace", "PS4=x", "LD_LIBRARY_PATH=/tmp", "SERVICE=yes")
	return r
}

// TestPosture compares the process attributes of a job's shell, in every deployment, with
// the required ones.
func TestPosture(t *testing.T) {
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			job := s.Job()
			job.Raw = map[string][]byte{"build_script": []byte(looks)}
			res := hostile(s).Run(job)
			site.Want(t, res, fakerunner.Success, 0)
			call, _ := res.Call("build_script")
			has := shown(call.ScriptOutput())
			for name, value := range posture(t, s, d.Name) {
				t.Run(name, func(t *testing.T) {
					if got := has[name]; got != value {
						t.Errorf("it is %q, want %q", got, value)
					}
				})
			}
		})
	}
}

// shown groups the lines of a script by their first words; each line of the status is
// separate.
func shown(text string) map[string]string {
	has := map[string][]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "status" {
			name, value, _ = strings.Cut(value, ":")
		}
		if name == "fd" {
			value, _, _ = strings.Cut(value, ":")
		}
		has[name] = append(has[name], strings.Join(strings.Fields(value), " "))
	}
	joined := map[string]string{}
	for name, values := range has {
		slices.Sort(values)
		joined[name] = strings.Join(values, "; ")
	}
	return joined
}

const none = "0000000000000000"

// posture is what a job must have in a deployment.
func posture(t *testing.T, s *site.Site, deployment string) map[string]string {
	t.Helper()
	four := func(id uint32) string { return fmt.Sprintf("%[1]d %[1]d %[1]d %[1]d", id) }
	groups := output(t, "/usr/bin/id", "-G", s.Account.Name)
	if os.Geteuid() == 0 {
		groups = output(t, "/usr/sbin/runuser", "-u", s.Account.Name, "--", "id", "-G")
	}
	table := map[string]string{
		"Uid": four(s.Account.UID), "Gid": four(s.Account.GID), "groups": groups,
		"CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none, "CapBnd": field("CapBnd"),
		"NoNewPrivs": "0", "Seccomp": field("Seccomp"), "SigBlk": none, "SigIgn": none,
		"umask": "0022", "dir": s.Account.Home, "tty": "0", "terminal": "no", "session": "own 1",
		"fd":       "0 /dev/null; 1 pipe; 2 pipe",
		"variable": variables(t, s),
		"limit":    shown(prefixed("limit ", output(t, "/bin/cat", "/proc/self/limits")))["limit"],
	}
	if deployment == "sudo" {
		// rlimit_core of sudoers(5) is 0,0 where a site sets nothing else.
		table["limit"] = regexp.MustCompile(`core file size [^;]*`).ReplaceAllString(table["limit"], "core file size 0 0 bytes")
	}
	if deployment == "root" {
		if has(unix.CAP_SYS_ADMIN) {
			table["Seccomp"] = "2"
		}
	}
	return table
}

// variables are the names of those that a login shell exports here, whatever the
// profiles of this machine add, and those of jacamar's.
func variables(t *testing.T, s *site.Site) string {
	t.Helper()
	names := append(strings.Fields(inLogin(t, s, "compgen -e")), "JACAMAR_CI_JOB", "JACAMAR_CI_SHELL", "JACAMAR_CI_STAGE")
	slices.Sort(names)
	return strings.Join(slices.DeleteFunc(names, func(name string) bool { return name == "_" || name == "OLDPWD" }), "; ")
}

// inLogin runs a command in a login shell of the site's account that has nothing
// from this process.
func inLogin(t *testing.T, s *site.Site, command string) string {
	t.Helper()
	argv := []string{
		"/usr/bin/env", "-i", "HOME=" + s.Account.Home, "USER=" + s.Account.Name, "LOGNAME=" + s.Account.Name, "SHELL=/bin/bash",
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "/bin/bash", "--login", "-c", command,
	}
	if os.Geteuid() == 0 {
		argv = append([]string{"/usr/sbin/runuser", "-u", s.Account.Name, "--"}, argv...)
	}
	return output(t, argv...)
}

func prefixed(prefix, text string) string {
	return prefix + strings.ReplaceAll(text, "\n", "\n"+prefix)
}

func output(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		t.Fatalf("%v: %v", argv, err)
	}
	return strings.TrimSpace(string(out))
}

// field is a line of this process's own status.
func field(name string) string {
	text, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(text), "\n"+name+":\t")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// has reports whether this process has a capability, which root in a container may
// lack.
func has(capability uint) bool {
	var data [2]unix.CapUserData
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	return unix.Capget(&head, &data[0]) == nil && data[capability/32].Effective&(1<<(capability%32)) != 0
}
