package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"jacamar-ci/internal/auth/internal/basedir"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/mounts"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
)

// dataDirectory must let each account have a directory of its own, and no account
// change another's. It is judged by the function that judges it for a job.
func dataDirectory(ctx context.Context, s Site) []Line {
	dir := s.Config.General.DataDir.String()
	if data := s.Config.General.DataDir; data.BelowHome() || data.HasVariables() {
		return or(s.judgeHome(ctx), "jobs live in %s of their account", dir)
	}
	p, err := job.ParseAbsPath(dir)
	if err != nil {
		return []Line{fail("correct general.data_dir", "%v", err)}
	}
	info, lines := examine(dir, s.missing)
	if len(lines) > 0 {
		return lines
	}
	lines = append(s.closedAbove(dir), replaceable(dir, s.dataTrust().CheckDirectory(p))...)
	lines = append(lines, unsuitable(dir, mounts.Of(dir).Options)...)
	if len(lines) == 0 {
		lines = s.judgeDataDir(dir, info.Mode())
	}
	return or(lines, "%s can be used by all accounts", dir)
}

// examine returns what a directory of the configuration is, or why it cannot be used.
func examine(dir string, missing func(dir string) Line) (fs.FileInfo, []Line) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, []Line{missing(dir)}
	case err != nil:
		return nil, []Line{fail("check the file system", "%v", err)}
	case !info.IsDir():
		return nil, []Line{fail("name a directory", "%s is not a directory", dir)}
	}
	return info, nil
}

// missing judges a data_dir that does not exist.
func (s Site) missing(dir string) Line {
	if fault, found := unsafeAbove(dir); found {
		return fail("name a data_dir below directories that only root can write, or $HOME", "%s does not exist, and %s %s", dir, fault.Path, fault.Problem)
	}
	return fail("make it: install -d -m 0755 "+dir+"; and then "+s.ownDirectories(dir), "%s does not exist", dir)
}

// unsafeAbove finds why no directory of root's is made at a path where none exists: others can
// write the first directory above that does, and install(1) follows a link that they put there.
func unsafeAbove(dir string) (fault trustedfile.Fault, found bool) {
	above := path.Dir(dir)
	for above != "/" {
		if _, err := os.Stat(above); err == nil {
			break
		}
		above = path.Dir(above)
	}
	p, err := job.ParseAbsPath(above)
	if err != nil {
		return fault, false
	}
	faults := basedir.Trust().CheckDirectory(p)
	if len(faults) == 0 {
		return fault, false
	}
	return faults[0], true
}

// closedAbove reports the first directory above that only its owner can enter.
func (s Site) closedAbove(dir string) []Line {
	if s.Config.Auth.Downscope == settings.None {
		return nil // the trial of an account reports it
	}
	var closed []Line
	for p := path.Dir(dir); p != "/"; p = path.Dir(p) {
		if info, err := os.Stat(p); err == nil && info.Mode().Perm()&0o011 == 0 {
			closed = []Line{fail("run: chmod o+x "+p, "the accounts of jobs cannot reach %s: they cannot enter %s (mode %04o)", dir, p, unixMode(info))}
		}
	}
	return closed
}

// unsuitable reports a place that is trusted, and where jobs do not work well.
func unsuitable(dir string, options []string) (lines []Line) {
	if slices.Contains(options, "noexec") {
		lines = append(lines, warn("name a data_dir on another file system, or mount this one without noexec", "%s is on a file system with noexec: programs that a job builds there cannot run", dir))
	}
	if dir == "/tmp" || strings.HasPrefix(dir, "/tmp/") || dir == "/dev/shm" || strings.HasPrefix(dir, "/dev/shm/") {
		lines = append(lines, warn("name a data_dir that nothing clears, such as $HOME", "%s is for temporary files: the system may remove what jobs keep there, their caches among it", dir))
	}
	return lines
}

// replaceable are the reasons why directories of accounts are not safe there.
func replaceable(dir string, faults []trustedfile.Fault) (lines []Line) {
	for _, f := range faults {
		who := "any account"
		if f.UID != 0 {
			who = fmt.Sprintf("uid %d", f.UID)
		}
		lines = append(lines, fail(f.Fix, "%s could replace the directory of another in %s: %s %s", who, dir, f.Path, f.Problem))
	}
	return lines
}

// dataTrust is whose directories may be on the way to data_dir: where root makes directories
// only root's.
func (s Site) dataTrust() trustedfile.Trust {
	if s.makesDirectories() {
		return basedir.Trust()
	}
	return s.accountsTrust()
}

// accountsTrust is whose directories may be on the way to those that accounts make: with jobs
// of one account also that account's.
func (s Site) accountsTrust() trustedfile.Trust {
	if s.Config.Auth.Downscope == settings.None {
		return trustedfile.Jobs(s.service())
	}
	return trustedfile.Jobs(0)
}

func (s Site) makesDirectories() bool {
	return s.Config.Auth.RootDirCreation && s.Config.Auth.Downscope == settings.Setuid
}

// ownDirectories is how accounts get their directories where data_dir is not writable
// by all: there each account could take the names of the others.
func (s Site) ownDirectories(dir string) string {
	own := dir + "/ACCOUNT" // install(1) would follow a link of an account's to a directory of root's
	each := "make a directory for each account: mkdir -m 0700 " + own + " && chown -h ACCOUNT " + own
	if s.UID == 0 && s.Config.Auth.Downscope == settings.Setuid {
		return "write root_dir_creation = true under [auth], or " + each
	}
	return each
}

func (s Site) judgeDataDir(dir string, mode fs.FileMode) (lines []Line) {
	perm := mode.Perm()
	switch {
	case perm&0o011 == 0:
		lines = append(lines, fail("run: chmod o+x "+dir, "the accounts of jobs cannot enter %s (mode %04o)", dir, perm))
	case perm&0o001 == 0:
		lines = append(lines, warn("have the accounts of jobs in that group", "only the members of its group can enter %s (mode %04o)", dir, perm))
	}
	switch {
	case perm&0o022 != 0:
		lines = append(lines, warn("run: chmod go-w "+dir+"; and then "+s.ownDirectories(dir),
			"any account that can write %s can make the directory of another account there, whose jobs are then refused", dir))
	case !s.makesDirectories() && s.Config.Auth.Downscope != settings.None:
		lines = append(lines, warn(s.ownDirectories(dir), "accounts without a directory of their own in %s cannot run jobs (mode %04o)", dir, perm))
	}
	return lines
}

// judgeHome judges the home of this account, where all jobs are its own.
func (s Site) judgeHome(ctx context.Context) []Line {
	home := s.ownHome(ctx)
	if home.IsZero() {
		return nil
	}
	return failures(trustedfile.Jobs(s.UID).CheckDirectory(home))
}

// ownHome is that home, zero for none. The homes of other accounts are judged by their jobs:
// no privileged program looks into them.
func (s Site) ownHome(ctx context.Context) job.AbsPath {
	if s.Config.Auth.Downscope != settings.None || s.UID == 0 {
		return job.AbsPath{}
	}
	account, _ := s.Names.ByUID(ctx, s.UID) // the check of the name service reports an error
	return account.Home
}
