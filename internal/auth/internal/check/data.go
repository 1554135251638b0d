package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// dataDirectory must let each account have a directory of its own in it, and no
// account touch another's.
func dataDirectory(_ context.Context, s Site) []Line {
	dir := s.Config.General.DataDir.String()
	if !strings.HasPrefix(dir, "/") {
		return []Line{ok("jobs live in %s of their account", dir)}
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Line{fail("run: mkdir -m 1777 "+dir, "%s does not exist", dir)}
	case err != nil:
		return []Line{fail("look at the file system", "%v", err)}
	case !info.IsDir():
		return []Line{fail("name a directory", "%s is not a directory", dir)}
	}
	return or(judgeDataDir(dir, info), "%s is there for all accounts", dir)
}

func judgeDataDir(dir string, info fs.FileInfo) (lines []Line) {
	perm, sticky := info.Mode().Perm(), info.Mode()&fs.ModeSticky != 0
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
		lines = append(lines, fail("run: chown root "+dir, "%s belongs to uid %d, who could replace the directory of any account", dir, stat.Uid))
	}
	switch {
	case perm&0o022 != 0 && !sticky:
		lines = append(lines, fail("run: chmod +t "+dir, "any account could replace the directory of another in %s (mode %04o)", dir, perm))
	case perm&0o001 == 0:
		lines = append(lines, fail("run: chmod o+x "+dir, "the accounts of jobs cannot enter %s (mode %04o)", dir, perm))
	case perm&0o002 == 0:
		lines = append(lines, warn(fmt.Sprintf("make one for each account, or run: chmod 1777 %s", dir), "accounts without a directory of their own in %s cannot run jobs (mode %04o)", dir, perm))
	}
	return lines
}

// usual is where GitLab Runner keeps its configuration.
const usual = "/etc/gitlab-runner/config.toml"

// runnerConfig looks at the runner's own file, which has the runner's token.
func runnerConfig(context.Context, Site) []Line { return judgeRunnerConfig(usual) }

func judgeRunnerConfig(file string) []Line {
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&0o004 == 0 {
		return nil
	}
	return []Line{warn("run: chmod 0600 "+file, "everybody can read the runner's token in %s (mode %04o)", file, info.Mode().Perm())}
}
