package check

import (
	"context"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/auth/internal/subprocess"
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
	if s.UID == 0 {
		return []Line{fail(`set auth.downscope = "setuid"`, "downscope is none and this is root: every job is refused")}
	}
	return []Line{ok("every job runs as uid %d (downscope is none)", s.UID)}
}

const sudoPath = "/usr/bin/sudo"

// sudo looks for a rule for the account nobody: the accounts of jobs are not known here.
func sudo(ctx context.Context, s Site) []Line {
	if !executable(sudoPath) {
		return []Line{fail("install sudo, or use another downscope", "there is no %s", sudoPath)}
	}
	r, err := subprocess.Command{
		Path: sudoPath, Args: []string{"-n", "-l", "-u", "nobody", "--", s.Jacamar.String(), string(job.Config)},
		Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}, Limit: 10 * time.Second, MaxOutput: 64 << 10, MaxErrors: 4 << 10,
	}.Run(ctx)
	if err != nil || r.Code != 0 || r.Signal != 0 {
		return []Line{warn("install the rule of share/jacamar-ci/sudoers, for the one group whose members may run CI jobs",
			"sudo does not let uid %d run %s as nobody; jobs need a rule for their accounts", s.UID, s.Jacamar)}
	}
	return []Line{ok("sudo lets uid %d run %s; by the same rule that account can use the accounts of jobs", s.UID, s.Jacamar)}
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
