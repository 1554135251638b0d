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
	"jacamar-ci/internal/settings"
)

// findHelper finds the account that helpers run as, where this process may change to
// it. With file capabilities there must be one: whoever has the account of the
// service could otherwise write the answers of what runs as it. Root has no such
// neighbor, and keeps getent to itself where there is none.
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

// lostCapabilities refuses before anything else where capabilities are missing: the
// state, say, cannot be used either, and is not what is wrong.
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

// helperProblem returns why nothing can be kept from others by means of an account,
// "" where it can.
func helperProblem(a job.Account, service job.UID) (problem, fix string) {
	const another = "make an account for this purpose, and name it there"
	switch shell := path.Base(a.Shell.String()); {
	case a.UID == 0 || a.GID == 0:
		return "it is root, or of root's group", another
	case a.UID == nobody || a.GID == nobody:
		return "it has the id of nobody, which others use as well", another
	case a.UID == service:
		return "it is the account of the runner's service, which it is to keep things from", another
	case shell != "nologin" && shell != "false":
		return fmt.Sprintf("it has the login shell %s", a.Shell), fmt.Sprintf("run: usermod --shell /usr/sbin/nologin %s", a.Name)
	}
	return "", ""
}

// nobody is the account that owns nothing, on every distribution.
const nobody = 65534

// names are the machine's name services.
func (d *authDriver) names() account.Names {
	if d.closed {
		return account.System(nil)
	}
	return account.System(d.helper)
}

// helperIDs are the ids of what must be out of the reach of the service account: the
// RunAs script and the files of the state. They stay root's where this is root.
func (d *authDriver) helperIDs() *thread.IDs {
	if d.hasExtraPrivileges() {
		return d.helper
	}
	return nil
}

// fetchIDs are those of the program that speaks with the network. They are not those
// of the other helpers: it must not be able to read the key that seals states. Root
// leaves the change to the program itself.
func (d *authDriver) fetchIDs() *thread.IDs {
	if d.hasExtraPrivileges() {
		return &thread.IDs{UID: nobody, GID: nobody}
	}
	return nil
}
