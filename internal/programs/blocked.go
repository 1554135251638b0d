package programs

import (
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

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
	var fs unix.Statfs_t
	if unix.Statfs(p.String(), &fs) == nil && fs.Flags&unix.ST_NOEXEC != 0 {
		faults = append(faults, trustedfile.Fault{
			File: p.String(), Path: p.String(), Problem: "is on a file system that is mounted with noexec", Fix: "install the programs elsewhere, or mount it with exec",
		})
	}
	return faults
}
