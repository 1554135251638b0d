// Package programs finds the files of Jacamar's programs, which are installed in one
// directory.
package programs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// own returns the file of this program. Its name in argv is the caller's choice;
// /proc/self/exe is the kernel's record (proc_pid_exe(5)).
func own() (job.AbsPath, error) {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return job.AbsPath{}, failure.Privatef("cannot find this program's own file: %w", err)
	}
	return job.ParseAbsPath(self)
}

// Sibling returns the path of another program in the directory of this one. The
// program need not exist.
func Sibling(name string) (job.AbsPath, error) {
	self, err := own()
	if err != nil {
		return job.AbsPath{}, err
	}
	return job.ParseAbsPath(filepath.Join(filepath.Dir(self.String()), name))
}

// Untrusted turns the faults of a program into an error, nil for none. The purpose is
// what the program is needed for: "run jobs".
func Untrusted(purpose string, p job.AbsPath, faults []trustedfile.Fault) error {
	switch {
	case len(faults) == 0:
		return nil
	case errors.Is(&faults[0], fs.ErrNotExist):
		return failure.Configf("cannot %s: %s is missing: install all programs from one package", purpose, p)
	}
	return failure.Configf("cannot %s: %w", purpose, &faults[0])
}

// Blocked returns why not every account can run the program, which exists: a mode on the
// path to it, or its file system. The fault nearest to the program is the first.
func Blocked(p job.AbsPath) (faults []trustedfile.Fault) {
	for at := p.String(); ; at = path.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			faults = append(faults, trustedfile.Fault{
				File: p.String(), Path: at, Problem: fmt.Sprintf("has mode %04o", info.Mode().Perm()),
				Fix: "install the programs where every account may enter, such as /opt/jacamar, or run: chmod o+x " + at,
			})
		}
		if at == "/" {
			break
		}
	}
	var fs unix.Statfs_t // zero where it cannot be read
	_ = unix.Statfs(p.String(), &fs)
	if fs.Flags&unix.ST_NOEXEC != 0 {
		faults = append(faults, trustedfile.Fault{
			File: p.String(), Path: p.String(), Problem: "is on a file system that is mounted with noexec", Fix: "install the programs elsewhere, or mount it with exec",
		})
	}
	return faults
}
