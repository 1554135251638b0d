package check

import (
	"context"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/version"
)

// ownProgram looks at who may run the privileged half, where it has privileges of
// its own: whoever may run it chooses its configuration's path.
func ownProgram(_ context.Context, s Site) []Line {
	lines := s.untrusted(s.Own)
	info, err := os.Stat(s.Own.String())
	if err == nil && info.Mode().Perm()&0o001 != 0 && privileged(s.Own, info) {
		lines = append(lines, fail("run: chmod 0750 "+s.Own.String(), "%s has privileges and everybody may run it (mode %04o)", s.Own, info.Mode().Perm()))
	}
	return or(lines, "%s can be trusted", s.Own)
}

// privileged reports whether running the file gives privileges.
func privileged(p job.AbsPath, info fs.FileInfo) bool {
	size, err := unix.Getxattr(p.String(), "security.capability", nil)
	return info.Mode()&fs.ModeSetuid != 0 || (err == nil && size > 0)
}

// jacamar must be one that every account can run and none can change.
func jacamar(ctx context.Context, s Site) []Line {
	lines := failures(s.Trust.CheckProgram(s.Jacamar))
	if len(lines) > 0 {
		return lines
	}
	for p := s.Jacamar.String(); ; p = path.Dir(p) {
		info, err := os.Stat(p)
		if err == nil && info.Mode().Perm()&0o001 == 0 {
			lines = append(lines, fail("install the programs where every account may enter, such as /opt/jacamar, or run: chmod o+x "+p, "the accounts of jobs cannot run %s: %s has mode %04o", s.Jacamar, p, info.Mode().Perm()))
		}
		if p == "/" {
			break
		}
	}
	if len(lines) == 0 {
		lines = append(sameVersion(ctx, s.Jacamar), readable(s.Jacamar)...)
	}
	return or(lines, "%s can be trusted, can be run by all and is of this version", s.Jacamar)
}

// fetcher is trusted like jacamar-auth itself: what it brings says who is who.
func fetcher(ctx context.Context, s Site) []Line {
	if s.FetcherErr != nil {
		return []Line{fail("install all programs from one package", "%v", s.FetcherErr)}
	}
	return or(sameVersion(ctx, s.Fetcher), "%s can be trusted and is of this version", s.Fetcher)
}

func sameVersion(ctx context.Context, p job.AbsPath) []Line {
	r, err := subprocess.Command{Path: p.String(), Args: []string{"--version"}, Env: []string{"PATH=/usr/bin:/bin"}, Limit: 5 * time.Second, MaxOutput: 4 << 10}.Run(ctx)
	first, _, _ := strings.Cut(string(r.Stdout), "\n")
	switch {
	case err != nil:
		return []Line{fail("install it again", "%s --version: %v", p, err)}
	case first != "Version: "+version.Number():
		return []Line{fail("install all programs from one package", "%s is %q, and this program is of version %s", p, first, version.Number())}
	}
	return nil
}

func executable(p string) bool {
	info, err := os.Stat(p)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func shells(_ context.Context, s Site) []Line {
	var lines []Line
	if p := s.Config.General.ShellPath; !executable(p.String()) {
		lines = append(lines, fail("install it or set general.shell_path", "there is no program %s to run scripts with", p))
	}
	for _, p := range s.Config.Auth.ShellAllowlist.Items {
		if !executable(p.String()) {
			lines = append(lines, warn("remove it from the list", "auth.shell_allowlist names %s, which is no program here", p))
		}
	}
	return or(lines, "scripts run with %s", s.Config.General.ShellPath)
}
