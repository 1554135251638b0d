package check

import (
	"context"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/version"
)

// authProgram looks at who may run jacamar-auth, where its file has privileges: its
// caller chooses the configuration.
func authProgram(ctx context.Context, s Site) []Line {
	lines := s.untrusted(s.Auth)
	if info, err := os.Stat(s.Auth.String()); err == nil {
		lines = append(lines, openToAll(s.Auth, info)...)
	}
	if len(lines) == 0 {
		lines = sameVersion(ctx, s.Auth)
	}
	return or(lines, "%s can be trusted and is of this version", s.Auth)
}

func openToAll(p job.AbsPath, info fs.FileInfo) []Line {
	if info.Mode().Perm()&0o001 == 0 || !privileged(p, info) {
		return nil
	}
	return []Line{fail("run: chmod 0750 "+p.String(), "%s has privileges and any account may run it (mode %04o)", p, unixMode(info))}
}

// unixMode is a mode as chmod(1) has it, with setuid, setgid and sticky bits.
func unixMode(info fs.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Mode & 0o7777 }

// privileged reports whether running the file gives privileges.
func privileged(p job.AbsPath, info fs.FileInfo) bool {
	_, none := unix.Getxattr(p.String(), "security.capability", nil)
	return info.Mode()&fs.ModeSetuid != 0 || none == nil
}

// jacamar must be a program that every account can run and none can change.
func jacamar(ctx context.Context, s Site) []Line {
	lines := failures(s.Trust.CheckProgram(s.Jacamar))
	if len(lines) > 0 {
		return lines
	}
	lines = blocked(s.Jacamar)
	if len(lines) == 0 {
		lines = append(sameVersion(ctx, s.Jacamar), readable(s.Jacamar)...)
	}
	return or(lines, "%s can be trusted, can be run by all and is of this version", s.Jacamar)
}

// blocked are the reasons why not every account of a job can run a program.
func blocked(p job.AbsPath) (lines []Line) {
	for _, f := range programs.Blocked(p) {
		lines = append(lines, fail(f.Fix, "the accounts of jobs cannot run %s: %s %s", p, f.Path, f.Problem))
	}
	return lines
}

// runnable judges a program of the site's that jobs start as their own accounts, which need
// not be this one.
func (s Site) runnable(p job.AbsPath) []Line {
	if s.Config.Auth.Downscope == settings.None {
		return nil
	}
	return blocked(p)
}

// fetcher is trusted like jacamar-auth itself: the keys that it fetches identify users.
func fetcher(ctx context.Context, s Site) []Line {
	if s.FetcherErr != nil {
		return []Line{fail("install all programs from one package", "%v", s.FetcherErr)}
	}
	return or(sameVersion(ctx, s.Fetcher), "%s can be trusted and is of this version", s.Fetcher)
}

// output runs a program of this host that prints a few lines.
func output(ctx context.Context, program string, args ...string) (subprocess.Result, error) {
	return subprocess.Command{
		Path: program, Args: args, Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, Limit: 10 * time.Second, MaxOutput: 64 << 10, MaxErrors: 4 << 10,
	}.Run(ctx)
}

func sameVersion(ctx context.Context, p job.AbsPath) []Line {
	r, err := output(ctx, p.String(), "--version")
	first, _, _ := strings.Cut(string(r.Stdout), "\n")
	switch {
	case err != nil:
		return []Line{fail("install it again", "%s --version: %v", p, err)}
	case first != "Version: "+version.Number():
		return []Line{fail("install all programs from one package", "%s is %q, and this program is of version %s", p, first, version.Number())}
	}
	return nil
}

func executable(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func shells(ctx context.Context, s Site) []Line {
	_, unlisted := s.Names.Shells()
	lines := append(s.judgeShell(ctx, s.Config.General.ShellPath), judgeShellList(s.Config.Auth.ShellAllowlist, unlisted)...)
	return or(lines, "scripts run with %s", s.Config.General.ShellPath)
}

// judgeShell judges the shell of the runner's scripts.
func (s Site) judgeShell(ctx context.Context, p job.AbsPath) []Line {
	switch {
	case !executable(p.String()):
		return []Line{fail("install it or set general.shell_path", "there is no program %s to run scripts with", p)}
	case !isBash(ctx, p.String()):
		return []Line{fail("set general.shell_path to a Bash, or remove it: the default is /bin/bash", "%s is no Bash, and the runner's scripts need one", p)}
	}
	return s.runnable(p)
}

// judgeShellList judges the list of login shells, which shells(5) replaces where it is not
// set; unlisted is why that cannot be read.
func judgeShellList(allow config.List[job.AbsPath], unlisted error) (lines []Line) {
	if unlisted != nil && !allow.Set {
		lines = append(lines, fail("restore /etc/shells or set auth.shell_allowlist", "%v", unlisted))
	}
	for _, p := range allow.Items {
		if !executable(p.String()) {
			lines = append(lines, warn("remove it from the list", "auth.shell_allowlist names %s, which is no program here", p))
		}
	}
	return lines
}

// isBash reports whether a shell has the version that Bash alone has.
func isBash(ctx context.Context, shell string) bool {
	r, _ := output(ctx, shell, "-c", `echo "${BASH_VERSION:+bash}"`) // what does not start has no output
	return strings.TrimSpace(string(r.Stdout)) == "bash"
}

// readable warns of a jacamar that its account can read: the kernel lets that account
// attach to it until jacamar itself forbids it (PR_SET_DUMPABLE in prctl(2)). A script
// that starts another program must be readable.
func readable(p job.AbsPath) []Line {
	info, err := os.Stat(p.String())
	if err != nil || info.Mode().Perm()&0o044 == 0 || script(p) {
		return nil
	}
	return []Line{warn("run: chmod 0711 "+p.String(),
		"%s can be read by the accounts of jobs (mode %04o): their other processes can take it over as it starts", p, info.Mode().Perm())}
}

func script(p job.AbsPath) bool {
	f, err := os.Open(p.String())
	if err != nil {
		return false
	}
	defer f.Close()
	var first [2]byte
	n, err := f.Read(first[:])
	return err == nil && string(first[:n]) == "#!"
}

// selinux looks for logins that SELinux confines: jobs run in the domain of the
// runner's service, and may do what such a login may not.
func selinux(context.Context, Site) []Line { return selinuxBelow("/") }

func selinuxBelow(root string) []Line {
	enforce, _ := os.ReadFile(path.Join(root, "sys/fs/selinux/enforce")) // a kernel without SELinux has none
	if strings.TrimSpace(string(enforce)) != "1" {
		return nil
	}
	config, err := os.ReadFile(path.Join(root, "etc/selinux/config"))
	if err != nil {
		return []Line{warn("run this check as root", "SELinux is enforcing, and its configuration cannot be read: %v", err)}
	}
	file := path.Join(root, "etc/selinux", policyType(string(config)), "seusers")
	users, err := os.ReadFile(file)
	if err != nil {
		return []Line{warn("run this check as root", "SELinux is enforcing, and the users of its policy cannot be read: %v", err)}
	}
	return judgeLogins(file, string(users))
}

// policyType is the value of SELINUXTYPE (selinux_config(5)).
func policyType(config string) string {
	for line := range strings.Lines(config) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.TrimSpace(name) == "SELINUXTYPE" {
			return strings.TrimSpace(value)
		}
	}
	return "targeted"
}

// judgeLogins reads lines of "LOGIN:SELINUX USER:RANGE" (seusers(5)).
func judgeLogins(file, users string) []Line {
	var confined []string
	for line := range strings.Lines(users) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 2 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		switch fields[0] {
		case "root", "system_u":
			continue
		}
		if fields[1] != "unconfined_u" {
			confined = append(confined, fields[0])
		}
	}
	if len(confined) == 0 {
		return []Line{ok("SELinux confines no logins by %s", file)}
	}
	return []Line{warn(`use downscope = "sudo" with ROLE and TYPE in the rule (sudoers(5)), or keep these accounts out by user_blocklist`,
		"SELinux confines the logins of %s (%s), and not their jobs, which have the domain of the runner's service", job.Clip(strings.Join(confined, ", ")), file)}
}
