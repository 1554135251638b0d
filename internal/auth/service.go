package auth

import (
	"errors"
	"fmt"
	"os"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/capability"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
)

// service is the account that runs jacamar-auth, and what it may do: whom this process
// trusts, and as whom its helpers run, follow from it.
type service struct {
	uid job.UID
	// powers reports that this process has privileges that its account has not.
	powers bool
	// administers reports that jacamar-admin uses it, and no runner.
	administers bool
	// closed reports that jacamar-admin cannot act as the helper account.
	closed bool
	// helper are the ids of helpers, nil for this process's own.
	helper *thread.IDs
}

// thisService is the one of this process.
func thisService() service {
	return service{uid: job.UID(os.Geteuid()), powers: capability.CanSwitchAccounts()}
}

// hasExtraPrivileges reports whether this process has privileges that its account has
// not, as with file capabilities. The service account must then not control the
// configuration: only files owned by root are trusted.
func (s service) hasExtraPrivileges() bool { return s.uid != 0 && s.powers }

// trust is whose files and programs this process trusts.
func (s service) trust() trustedfile.Trust {
	if s.hasExtraPrivileges() {
		return trustedfile.Root()
	}
	return trustedfile.Self()
}

// keysProgram is the program that fetches keys, by which users are identified: it is
// judged like this one.
func (s service) keysProgram() (job.AbsPath, error) {
	p, err := programs.Sibling("jacamar-keys")
	if err != nil {
		return p, err
	}
	return p, programs.Untrusted("fetch keys", p, s.trust().Check(p))
}

// names returns the name services of the machine.
func (s service) names() account.Names {
	switch {
	case s.closed:
		return account.System(nil, nil)
	case s.uid == 0:
		return account.System(s.helper, nil) // only root may read shadow(5)
	}
	return account.System(s.helper, s.helper)
}

// helperIDs are the ids for what the service account must not control: the RunAs script
// and the files of the state. Root keeps its own ids for them.
func (s service) helperIDs() *thread.IDs {
	if s.hasExtraPrivileges() {
		return s.helper
	}
	return nil
}

// fetchIDs are the ids of jacamar-keys, which uses the network. They differ from those of
// the other helpers: it must not be able to read the key that seals states. For root
// jacamar-keys changes its ids itself.
func (s service) fetchIDs() *thread.IDs {
	if s.hasExtraPrivileges() {
		return &thread.IDs{UID: job.Nobody, GID: job.Nobody}
	}
	return nil
}

// findHelper finds the account that helpers run as, or returns why no job can run
// without it.
func (d *authDriver) findHelper() error {
	h, err := d.examineHelper()
	switch {
	case err != nil:
	case h.Lost != nil:
		err = h.Lost
	case h.Problem != "":
		err = failure.Configf("cannot use auth.helper_account %s: %s: %s", h.Name, h.Problem, h.Fix)
	}
	d.noHelper = err
	return err
}

// examineHelper finds the account that helpers run as, where this process may change to
// it. With file capabilities it is required: processes of the service account could
// otherwise write the output of helpers. Root has no such neighbor, and runs getent
// itself where the account does not exist.
func (d *authDriver) examineHelper() (account.Helper, error) {
	h := account.Helper{Name: d.Site.Auth.HelperAccount, Required: d.hasExtraPrivileges()}
	if !h.Required && (d.uid != 0 || h.Name.String() == "root") {
		h.Lost = d.lostCapabilities()
		return h, nil
	}
	a, err := account.LocalFiles().Lookup(h.Name)
	switch {
	case errors.Is(err, account.ErrNotLocal):
		h.Fix = fmt.Sprintf("run: useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin %s", h.Name)
		if h.Required {
			h.Problem = account.ErrNotLocal.Error()
		}
		return h, nil
	case err != nil:
		return h, err
	}
	if h.Problem, h.Fix = helperProblem(a, d.uid); h.Problem != "" {
		return h, nil
	}
	h.UID, h.InUse = a.UID, true
	d.helper = thread.Of(a)
	return h, nil
}

// lostCapabilities refuses where capabilities are missing, before a consequence of that,
// such as an unreadable state, is reported.
func (d *authDriver) lostCapabilities() error {
	if d.uid == 0 || d.Site.Auth.Downscope != settings.Setuid {
		return nil
	}
	return privdrop.MayChangeIDs()
}

// helperProblem returns why an account cannot separate helpers from others, "" where it
// can.
func helperProblem(a job.Account, service job.UID) (problem, fix string) {
	const another = "make an account for this purpose, and name it there"
	switch {
	case a.UID == 0 || a.GID == 0:
		return "it is root, or of root's group", another
	case a.UID == job.Nobody || a.GID == job.Nobody:
		return "it has the id of nobody, which other services use as well", another
	case a.UID == service:
		return "it is the account of the runner's service, from which it must separate helpers", another
	case !a.NoLogin():
		return fmt.Sprintf("it has the login shell %s", a.Shell), fmt.Sprintf("run: usermod --shell /usr/sbin/nologin %s", a.Name)
	}
	return "", ""
}
