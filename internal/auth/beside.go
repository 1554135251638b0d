package auth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// hasExtraPrivileges reports whether this process can do what its account cannot, as with
// file capabilities. Then that account must not decide for whom, and only what is
// root's is believed.
func (d *driver) hasExtraPrivileges() bool { return d.uid != 0 && d.powers }

// trust is whose files and programs this process believes.
func (d *driver) trust() trustedfile.Trust {
	if d.hasExtraPrivileges() {
		return trustedfile.Root()
	}
	return trustedfile.Self()
}

// keysProgram is the program that fetches keys, which decide who is who: it is
// trusted like this one.
func (d *driver) keysProgram() (job.AbsPath, error) {
	p, err := siblingProgram("jacamar-keys")
	if err != nil {
		return p, err
	}
	return p, untrusted("fetch keys", p, d.trust().Check(p))
}

// jacamar is the unprivileged half. It is judged although it has no privileges: it
// runs as every user.
func (d *driver) jacamar() (job.AbsPath, error) {
	p, err := d.jacamarPath()
	if err != nil {
		return p, err
	}
	return p, untrusted("run jobs", p, d.trust().CheckProgram(p))
}

// jacamarPath is the configured program, else the one beside this one.
func (d *driver) jacamarPath() (job.AbsPath, error) {
	if p := d.site.Auth.JacamarPath; !p.IsZero() {
		return p, nil
	}
	return siblingProgram("jacamar")
}

// untrusted is the first fault of a program that others could have put there.
func untrusted(purpose string, p job.AbsPath, faults []trustedfile.Fault) error {
	switch {
	case len(faults) == 0:
		return nil
	case errors.Is(&faults[0], fs.ErrNotExist):
		return failure.Configf("cannot %s: %s is missing: install all programs from one package", purpose, p)
	}
	return failure.Configf("cannot %s: %w", purpose, &faults[0])
}

// siblingProgram finds another of the programs, where this one is.
func siblingProgram(name string) (job.AbsPath, error) {
	self, err := ownPath()
	if err != nil {
		return job.AbsPath{}, err
	}
	return job.ParseAbsPath(filepath.Join(filepath.Dir(self.String()), name))
}

// ownPath is the file of this program.
func ownPath() (job.AbsPath, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return job.AbsPath{}, failure.Privatef("cannot find this program's own file: %w", err)
	}
	return job.ParseAbsPath(self)
}
