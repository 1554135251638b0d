package auth

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// empowered tells whether this process can do what its account cannot, as with
// file capabilities. Then that account must not be the one to say for whom, and
// only what is root's is believed.
func (d *driver) empowered() bool { return d.uid != 0 && privdrop.MayChangeIDs() == nil }

// keysProgram is the program that fetches keys, which say who is who: it is
// trusted like this one.
func (d *driver) keysProgram() (job.AbsPath, error) {
	p, err := beside("jacamar-keys")
	if err != nil {
		return p, err
	}
	judge := trustedfile.Judge
	if d.empowered() {
		judge = trustedfile.JudgeRoot
	}
	faults := judge(p)
	switch {
	case len(faults) == 0:
		return p, nil
	case errors.Is(&faults[0], fs.ErrNotExist):
		return p, failure.Configf("cannot fetch keys: %s is missing: install all programs from one package", p)
	}
	return p, failure.Configf("cannot fetch keys: %w", &faults[0])
}

// beside finds another of the programs, where this one is.
func beside(name string) (job.AbsPath, error) {
	self, err := own()
	if err != nil {
		return job.AbsPath{}, err
	}
	return job.ParseAbsPath(filepath.Join(filepath.Dir(self.String()), name))
}

// own is the file of this program.
func own() (job.AbsPath, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return job.AbsPath{}, failure.Privatef("cannot find this program's own file: %w", err)
	}
	return job.ParseAbsPath(self)
}
