package check

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/mounts"
	"jacamar-ci/internal/settings"
)

// privileges reports whether jacamar-auth could become another account, or where it need
// not, whether its own can have jobs.
func privileges(ctx context.Context, s Site) []Line {
	switch s.Config.Auth.Downscope {
	case settings.Setuid:
		return judgeSetuid(s.UID, privdrop.ProgramMayChangeIDs(s.Auth.String(), s.UID), privdrop.CheckSuidDumpable())
	case settings.Sudo:
		return sudo(ctx, s, privdrop.SudoPath)
	}
	facts, err := s.ownFacts(ctx)
	if err != nil {
		return nil // the check of the name service reports it
	}
	a := s.Config.Auth
	return judgeOwn(facts, policy.Rules{MinUID: a.MinUID, ShellAllow: policy.List[string]{Set: a.ShellAllowlist.Set, Entries: texts(a.ShellAllowlist)}})
}

func judgeSetuid(uid job.UID, ids, dumps error) []Line {
	switch {
	case ids != nil:
		return []Line{fail("fix what is missing, for the account that runs jacamar-auth", "%v", ids)}
	case dumps != nil:
		return []Line{fail("run: sysctl fs.suid_dumpable=0, or 2 for core files that root alone can read", "%v", dumps)}
	}
	return []Line{ok("uid %d may become the accounts of jobs by setuid", uid)}
}

// ownFacts are about the account of the service, as which all jobs run. What root reads of
// shadow(5) does not show whether the service may read it.
func (s Site) ownFacts(ctx context.Context) (f policy.Facts, err error) {
	f.Shells, _ = s.Names.Shells() // without it no shell is allowed
	if name, other := serviceAccount(ctx, s); other {
		f.Account, err = s.Names.Lookup(ctx, name)
		return f, err
	}
	if f.Account, err = s.Names.ByUID(ctx, s.UID); err == nil {
		f.Aging, err = s.Names.Aging(ctx, f.Account.Name, time.Now())
	}
	return f, err
}

// judgeOwn judges the account as which all jobs run by the rules that each job meets.
func judgeOwn(f policy.Facts, r policy.Rules) []Line {
	a, d := f.Account, policy.DecideService(f, r)
	switch {
	case d.Allowed:
		return []Line{ok("every job runs as uid %d (downscope is none)", a.UID)}
	case a.UID == 0:
		return []Line{fail(`set auth.downscope = "setuid"`, "downscope is none and this is root: every job is refused")}
	case d.Rule == policy.MinUID:
		return []Line{fail(fmt.Sprintf("write min_uid = %d under [auth]", a.UID),
			"every job would run as uid %d (downscope is none), and auth.min_uid = %d refuses it", a.UID, r.MinUID)}
	case d.Rule == policy.NologinShell:
		return []Line{fail("run: usermod --shell /bin/bash "+a.Name.String(),
			"every job would run as uid %d (downscope is none), and its login shell %s is for accounts that do not log in", a.UID, path.Base(a.Shell.String()))}
	}
	return []Line{fail("correct that, or give the runner's service another account",
		"every job would run as uid %d (downscope is none), and is refused: %s: %s", a.UID, d.Rule, d.Reason)}
}

// sudo looks for a rule that names jacamar among those of this account, as the accounts of
// jobs are not known here.
func sudo(ctx context.Context, s Site, program string) []Line {
	if !executable(program) {
		return []Line{fail("install sudo, or use another downscope", "there is no %s", program)}
	}
	args, who := []string{"-n", "-l"}, fmt.Sprintf("uid %d", s.UID)
	if name, other := serviceAccount(ctx, s); other {
		args, who = append(args, "-U", name.String()), name.String()
	} else if s.UID == 0 {
		return []Line{ok("root needs no rule of sudo")}
	}
	r, err := output(ctx, program, args...)
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
// without a password, "" for none. A rule is "(RUNAS) NOPASSWD: COMMAND, …" (sudo(8), -l). The
// last rule that matches decides (sudoers(5)).
func runasOf(list, program string) (runas string) {
	for _, rule := range rulesOf(list) {
		as, commands, _ := strings.Cut(rule, ")")
		switch matches, permitted := permits(commands, program); {
		case permitted:
			runas = as
		case matches && (as == runas || slices.Contains(strings.FieldsFunc(as, isBetweenNames), "ALL")):
			runas = ""
		}
	}
	return runas
}

func isBetweenNames(r rune) bool { return strings.ContainsRune(" ,:", r) }

// rulesOf are the rules of the output, each without its "(". Long ones go on in the next line.
func rulesOf(list string) (rules []string) {
	for line := range strings.Lines(list) {
		text := strings.TrimSpace(line)
		if rule, begins := strings.CutPrefix(text, "("); begins {
			rules = append(rules, rule)
		} else if last := len(rules) - 1; last >= 0 {
			rules[last] += " " + text
		}
	}
	return rules
}

// permits reports whether a list of commands has a program, and whether without a password. The
// last command that matches decides, and a tag holds for those behind it (sudoers(5)).
func permits(commands, program string) (matches, permitted bool) {
	free := false
	for command := range strings.SplitSeq(commands, ",") {
		for word := range strings.FieldsSeq(command) {
			switch word {
			case "NOPASSWD:":
				free = true
			case "PASSWD:":
				free = false
			}
			if strings.Contains(word, ":") && !strings.HasPrefix(word, "/") {
				continue // a tag, or the digest of a command
			}
			name, forbidden := strings.CutPrefix(word, "!")
			if covers(name, program) {
				matches, permitted = true, free && !forbidden
			}
			break // arguments
		}
	}
	return matches, permitted
}

// covers reports whether a command of sudoers(5), which may have wildcards, means a program.
func covers(command, program string) bool {
	same, _ := path.Match(command, program)
	return same || command == "ALL" || command == path.Dir(program)+"/"
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
