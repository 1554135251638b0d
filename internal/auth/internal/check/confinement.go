package check

import (
	"context"
	"os"
	"path"
	"strings"

	"jacamar-ci/internal/job"
)

// readable warns of a jacamar that its account can read: the kernel lets that account
// attach to it until it has forbidden that itself (PR_SET_DUMPABLE in prctl(2)). A
// script that starts another program must be read to be run.
func readable(p job.AbsPath) []Line {
	info, err := os.Stat(p.String())
	if err != nil || info.Mode().Perm()&0o044 == 0 || script(p) {
		return nil
	}
	return []Line{warn("run: chmod 0711 "+p.String(),
		"%s can be read by the accounts of jobs (mode %04o): one that watches for it can take it over as it starts", p, info.Mode().Perm())}
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

// selinux looks for logins that SELinux confines: jobs have the domain of the
// runner's service, and may do what such a login may not.
func selinux(context.Context, Site) []Line {
	enforce, err := os.ReadFile("/sys/fs/selinux/enforce")
	if err != nil || strings.TrimSpace(string(enforce)) != "1" {
		return nil
	}
	config, err := os.ReadFile("/etc/selinux/config")
	if err != nil {
		return []Line{warn("look at it as root", "SELinux is enforcing, and its configuration cannot be read: %v", err)}
	}
	file := path.Join("/etc/selinux", policyType(string(config)), "seusers")
	users, err := os.ReadFile(file)
	if err != nil {
		return []Line{warn("look at it as root", "SELinux is enforcing, and the users of its policy cannot be read: %v", err)}
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
