package check

import (
	"context"
	"os"
	"syscall"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/job"
)

// Helper is what jacamar-auth made of auth.helper_account.
type Helper struct {
	Name job.Username
	// UID is meaningful where it is in use: helpers run as it, and with file
	// capabilities the state belongs to it.
	UID   job.UID
	InUse bool
	// Required is whether jobs need it, as with file capabilities.
	Required bool
	// Lost is set where capabilities are missing that the configuration needs.
	Lost bool
	// Problem is why it cannot be used, "" for none, and Fix what to do.
	Problem, Fix string
}

func helper(_ context.Context, s Site) []Line {
	switch h := s.Helper; {
	case h.Problem != "":
		return []Line{fail(h.Fix, "auth.helper_account: %s", h.Problem)}
	case h.InUse && h.Required:
		return []Line{ok("helpers and the state are those of %s, out of the reach of uid %d", h.Name, s.UID)}
	case h.InUse:
		return []Line{ok("getent runs as %s", h.Name)}
	case s.UID == 0 && h.Fix != "":
		return []Line{warn(h.Fix, "there is no account %s in /etc/passwd: getent runs as root", h.Name)}
	}
	return nil
}

// serviceAccount is the account of the runner's service, where this process is root
// and the service is not. Its state belongs to it, or to the helper account, and
// then the service is the account that may run jacamar-auth.
func serviceAccount(ctx context.Context, s Site) (job.Username, bool) {
	owner, ok := statOf(s.StateDir)
	if s.UID != 0 || !ok || owner.Uid == 0 {
		return job.Username{}, false
	}
	if !s.Helper.InUse || job.UID(owner.Uid) != s.Helper.UID {
		name, err := s.Names.Owner(ctx, job.Account{UID: job.UID(owner.Uid)})
		return name, err == nil
	}
	program, ok := statOf(s.Own)
	if !ok || program.Gid == 0 {
		return job.Username{}, false
	}
	service, err := account.LocalFiles().ByPrimaryGroup(job.GID(program.Gid))
	return service.Name, err == nil
}

func statOf(p job.AbsPath) (*syscall.Stat_t, bool) {
	info, err := os.Stat(p.String())
	if err != nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return stat, ok
}
