package auth

import (
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/programs"
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
