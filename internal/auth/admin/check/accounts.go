package check

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"jacamar-ci/internal/job"
)

func helper(_ context.Context, s Site) []Line {
	switch h := s.Helper; {
	case h.Problem != "":
		return []Line{fail(h.Fix, "auth.helper_account: %s", h.Problem)}
	case h.InUse && h.Required:
		return []Line{ok("helper programs run as %s, which also has the state: uid %d can change neither", h.Name, s.UID)}
	case h.InUse:
		return []Line{ok("getent runs as %s", h.Name)}
	case s.UID == 0 && h.Fix != "":
		return []Line{warn(h.Fix, "there is no account %s in /etc/passwd: getent runs as root", h.Name)}
	}
	return nil
}

// serviceAccount is the account of the runner's service, where jacamar-auth has no
// rights of its own and this process is root.
func serviceAccount(ctx context.Context, s Site) (job.Username, bool) {
	uid := s.service()
	if uid == s.UID {
		return job.Username{}, false
	}
	name, err := s.Names.Owner(ctx, job.Account{UID: uid})
	return name, err == nil
}

// service is the id of that account: the owner of the state, unless that is the helper's.
func (s Site) service() job.UID {
	owner, ok := statOf(s.StateDir)
	if s.UID != 0 || !ok || s.Helper.InUse && job.UID(owner.Uid) == s.Helper.UID {
		return s.UID
	}
	return job.UID(owner.Uid)
}

func statOf(p job.AbsPath) (*syscall.Stat_t, bool) {
	info, err := os.Stat(p.String())
	if err != nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return stat, ok
}

// viewpoint reports that another account must run the check. What root can write does
// not show what the service can, and the service could not use a log that root makes.
func viewpoint(ctx context.Context, s Site) []Line {
	if s.Closed {
		return []Line{warn(fmt.Sprintf("run it as root: jacamar-admin check --configuration %s", s.File),
			"jacamar-auth has file capabilities, and what it keeps is closed to uid %d: the state directory, the key server, shadow(5) and the log were not checked", s.UID)}
	}
	name, other := serviceAccount(ctx, s)
	if !other {
		return nil
	}
	return []Line{warn(fmt.Sprintf("run it as the service: runuser -u %s -- jacamar-admin check --configuration %s", name, s.File),
		"this is root, and the runner's service is %s: the log and the state directory were not checked", name)}
}

// slow is how long a name service may take before the first stage of each job is late.
const slow = 2 * time.Second

func nameService(ctx context.Context, s Site) []Line {
	begin := time.Now()
	name, err := s.Names.Owner(ctx, job.Account{UID: s.UID})
	if err == nil {
		_, err = s.Names.Lookup(ctx, name)
	}
	return judgeLookup(s.UID, name, time.Since(begin), err)
}

func judgeLookup(uid job.UID, name job.Username, took time.Duration, err error) []Line {
	switch {
	case err != nil:
		return []Line{fail("check that getent(1) answers: getent passwd "+fmt.Sprint(uid), "%v", err)}
	case took > slow:
		return []Line{warn("find out what delays: time getent initgroups "+name.String(), "the name service took %s", took.Round(100*time.Millisecond))}
	}
	return []Line{ok("the name service has %s", name)}
}

// shadow checks that locked and expired accounts can be recognized. What root may read
// does not show what a service with another account may read.
func shadow(ctx context.Context, s Site) []Line {
	if _, other := serviceAccount(ctx, s); other {
		return nil
	}
	reader, err := s.shadowReader(ctx)
	if err != nil {
		return nil // the check of the name service reports it
	}
	reads, err := s.Names.ReadsShadow(ctx, reader)
	if err != nil {
		return []Line{fail("check that getent(1) answers: getent shadow daemon", "%v", err)}
	}
	return judgeShadow(reads, s.Config.Auth.RequireShadow, reader)
}

// shadowReader is the account as which getent reads shadow(5).
func (s Site) shadowReader(ctx context.Context) (job.Username, error) {
	if s.Helper.InUse && s.UID != 0 {
		return s.Helper.Name, nil
	}
	return s.Names.Owner(ctx, job.Account{UID: s.UID})
}

func judgeShadow(reads, required bool, reader job.Username) []Line {
	fix := fmt.Sprintf("let %s read it, by its group where the file has one (usermod -aG shadow %[1]s), and start the runner's service again", reader)
	switch {
	case reads:
		return []Line{ok("locked and expired accounts are refused, as far as shadow(5) has them")}
	case required:
		return []Line{fail(fix+"; or remove auth.require_shadow", "%s cannot read shadow(5), so that auth.require_shadow refuses every job", reader)}
	}
	return []Line{warn(fix+`; or see "Locked and expired accounts" in docs/authorization.md`,
		"%s cannot read shadow(5): locked and expired accounts run jobs", reader)}
}

func logins(_ context.Context, s Site) []Line {
	return judgeNologin(s.Config.Auth.EnforceNologin, s.Names.LoginsOff())
}

func judgeNologin(enforced, off bool) []Line {
	if enforced && off {
		return []Line{warn("remove /etc/nologin or /run/nologin when logins are wanted again", "logins are switched off: every job is refused")}
	}
	return nil
}
