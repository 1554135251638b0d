package auth

import (
	"errors"
	"fmt"
	"path"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
)

// hasExtraPrivileges reports whether this process has privileges that its account has
// not, as with file capabilities. The service account must then not control the
// configuration: only files owned by root are trusted.
func (d *authDriver) hasExtraPrivileges() bool { return d.uid != 0 && d.powers }

// trust is whose files and programs this process trusts.
func (d *authDriver) trust() trustedfile.Trust {
	if d.hasExtraPrivileges() {
		return trustedfile.Root()
	}
	return trustedfile.Self()
}

// keysProgram is the program that fetches keys, by which users are identified: it is
// judged like this one.
func (d *authDriver) keysProgram() (job.AbsPath, error) {
	p, err := programs.Sibling("jacamar-keys")
	if err != nil {
		return p, err
	}
	return p, programs.Untrusted("fetch keys", p, d.trust().Check(p))
}

// findHelper finds the account that helpers run as, where this process may change to
// it. With file capabilities it is required: processes of the service account could
// otherwise write the output of helpers. Root has no such neighbor, and runs getent
// itself where the account does not exist.
func (d *authDriver) findHelper() error {
	name := d.Site.Auth.HelperAccount
	if !d.mayHaveHelper() {
		return d.lostCapabilities()
	}
	a, err := account.LocalFiles().Lookup(name)
	missing := errors.Is(err, account.ErrNotLocal)
	switch {
	case missing && d.uid == 0:
		return nil
	case missing:
		return failure.Configf("%w", &helperFault{name, account.ErrNotLocal.Error(), addAccount(name)})
	case err != nil:
		return err
	}
	if problem, fix := helperProblem(a, d.uid); problem != "" {
		return failure.Configf("%w", &helperFault{name, problem, fix})
	}
	d.helper = &thread.IDs{UID: uint32(a.UID), GID: uint32(a.GID)}
	for _, g := range a.Groups {
		d.helper.Groups = append(d.helper.Groups, int(g))
	}
	return nil
}

// lostCapabilities refuses where capabilities are missing, before a consequence of that,
// such as an unreadable state, is reported.
func (d *authDriver) lostCapabilities() error {
	if d.uid == 0 || d.Site.Auth.Downscope != settings.Setuid {
		return nil
	}
	return privdrop.MayChangeIDs()
}

func (d *authDriver) mayHaveHelper() bool {
	return d.hasExtraPrivileges() || d.uid == 0 && d.Site.Auth.HelperAccount.String() != "root"
}

// helperFault is why the helper account cannot be used, and what to do.
type helperFault struct {
	name         job.Username
	problem, fix string
}

func (f *helperFault) Error() string {
	return fmt.Sprintf("cannot use auth.helper_account %s: %s: %s", f.name, f.problem, f.fix)
}

func addAccount(name job.Username) string {
	return fmt.Sprintf("run: useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin %s", name)
}

// helperProblem returns why an account cannot separate helpers from others, "" where it
// can.
func helperProblem(a job.Account, service job.UID) (problem, fix string) {
	const another = "make an account for this purpose, and name it there"
	switch shell := path.Base(a.Shell.String()); {
	case a.UID == 0 || a.GID == 0:
		return "it is root, or of root's group", another
	case a.UID == nobody || a.GID == nobody:
		return "it has the id of nobody, which other services use as well", another
	case a.UID == service:
		return "it is the account of the runner's service, from which it must separate helpers", another
	case shell != "nologin" && shell != "false":
		return fmt.Sprintf("it has the login shell %s", a.Shell), fmt.Sprintf("run: usermod --shell /usr/sbin/nologin %s", a.Name)
	}
	return "", ""
}

// nobody: the user id of the account of that name, on every distribution.
const nobody = 65534

// names returns the name services of the machine.
func (d *authDriver) names() account.Names {
	if d.closed {
		return account.System(nil, nil)
	}
	if d.uid == 0 {
		return account.System(d.helper, nil) // only root may read shadow(5)
	}
	return account.System(d.helper, d.helper)
}

// helperIDs are the ids for what the service account must not control: the RunAs script
// and the files of the state. Root keeps its own ids for them.
func (d *authDriver) helperIDs() *thread.IDs {
	if d.hasExtraPrivileges() {
		return d.helper
	}
	return nil
}

// fetchIDs are the ids of jacamar-keys, which uses the network. They differ from those of
// the other helpers: it must not be able to read the key that seals states. For root
// jacamar-keys changes its ids itself.
func (d *authDriver) fetchIDs() *thread.IDs {
	if d.hasExtraPrivileges() {
		return &thread.IDs{UID: nobody, GID: nobody}
	}
	return nil
}
