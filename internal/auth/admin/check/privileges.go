package check

import (
	"context"
	"fmt"
	"path"
	"strings"

	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/mounts"
	"jacamar-ci/internal/settings"
)

// privileges reports whether jacamar-auth could become another account.
func privileges(ctx context.Context, s Site) []Line {
	switch s.Config.Auth.Downscope {
	case settings.Setuid:
		if err := privdrop.ProgramMayChangeIDs(s.Auth.String(), s.UID); err != nil {
			return []Line{fail("fix what is missing, for the account that runs jacamar-auth", "%v", err)}
		}
		if err := privdrop.CheckSuidDumpable(); err != nil {
			return []Line{fail("run: sysctl fs.suid_dumpable=0, or 2 for core files that root alone can read", "%v", err)}
		}
		return []Line{ok("uid %d may become the accounts of jobs by setuid", s.UID)}
	case settings.Sudo:
		return sudo(ctx, s)
	}
	switch least := s.Config.Auth.MinUID; {
	case s.UID == 0:
		return []Line{fail(`set auth.downscope = "setuid"`, "downscope is none and this is root: every job is refused")}
	case s.UID < least:
		return []Line{fail(fmt.Sprintf("write min_uid = %d under [auth]", s.UID),
			"every job would run as uid %d (downscope is none), and auth.min_uid = %d refuses it", s.UID, least)}
	}
	if a, err := s.Names.ByUID(ctx, s.UID); err == nil && a.NoLogin() {
		return []Line{fail("run: usermod --shell /bin/bash "+a.Name.String(),
			"every job would run as uid %d (downscope is none), and its login shell %s is for accounts that do not log in", s.UID, path.Base(a.Shell.String()))}
	}
	return []Line{ok("every job runs as uid %d (downscope is none)", s.UID)}
}

// sudo looks for a rule that names jacamar among those of this account, as the accounts of
// jobs are not known here.
func sudo(ctx context.Context, s Site) []Line {
	if !executable(privdrop.SudoPath) {
		return []Line{fail("install sudo, or use another downscope", "there is no %s", privdrop.SudoPath)}
	}
	args, who := []string{"-n", "-l"}, fmt.Sprintf("uid %d", s.UID)
	if name, other := serviceAccount(ctx, s); other {
		args, who = append(args, "-U", name.String()), name.String()
	} else if s.UID == 0 {
		return []Line{ok("root needs no rule of sudo")}
	}
	r, err := output(ctx, privdrop.SudoPath, args...)
	targets := ""
	if err == nil && r.Code == 0 {
		targets = runasOf(string(r.Stdout), s.Jacamar.String())
	}
	if targets == "" {
		return []Line{fail("install the rule of "+path.Join(path.Dir(path.Dir(s.Auth.String())), "share/jacamar-ci/sudoers")+", for the one group whose members may run CI jobs",
			"sudo has no rule by which %s may run %s without a password", who, s.Jacamar)}
	}
	return []Line{ok("sudo lets %s run %s as %s; by the same rule that account can use those accounts", who, s.Jacamar, job.Clip(targets))}
}

// runasOf finds in the output of sudo -l the accounts as which a program may be run
// without a password, "" for none. A rule is "(RUNAS) NOPASSWD: COMMAND, …", and long
// ones go on in the next line (sudo(8), -l).
func runasOf(list, program string) string {
	rule, runas := "", ""
	for line := range strings.Lines(list) {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "(") {
			rule = ""
		}
		rule += " " + text
		as, rest, found := strings.Cut(strings.TrimPrefix(strings.TrimSpace(rule), "("), ")")
		if found && strings.Contains(rest, "NOPASSWD:") && (strings.Contains(rest, program) || strings.HasSuffix(strings.TrimSpace(rest), " ALL")) {
			runas = as
		}
	}
	return runas
}

// userNamespace fails where ids are not the machine's (user_namespaces(7)).
func userNamespace(context.Context, Site) []Line {
	return judgeMaps(capability.UserNamespaceMap())
}

func judgeMaps(foreign string, err error) []Line {
	switch {
	case err != nil:
		return []Line{fail("mount /proc", "%v", err)}
	case foreign != "":
		return []Line{fail("run the runner outside the user namespace", "this is a user namespace (%s): an account here is another one on the machine", foreign)}
	}
	return []Line{ok("user and group ids are the machine's own")}
}

// processView reports whether /proc hides the processes of jobs from this account
// (hidepid in proc(5)), and what that costs.
func processView(_ context.Context, s Site) []Line {
	return judgeProcessView(mounts.Of("/proc").Options, s.UID, s.Config.Auth.Downscope)
}

func judgeProcessView(options []string, uid job.UID, downscope settings.Downscope) []Line {
	hidden := ""
	for _, o := range options {
		value, found := strings.CutPrefix(o, "hidepid=")
		if found && value != "0" && value != "off" {
			hidden = o
		}
	}
	switch {
	case hidden == "":
		return []Line{ok("/proc shows the processes of all accounts")}
	case uid == 0 || downscope == settings.None:
		return []Line{ok("/proc has %s, which hides no process of a job from this account", hidden)}
	}
	return []Line{ok("/proc has %s: the processes of a job are ended through its account; one that cannot be ended is reported by its pid alone, "+
		"and how many processes an account has is not known", hidden)}
}
