package check

import (
	"context"
	"os"
	"slices"
	"strings"

	"jacamar-ci/internal/auth/internal/accountmap"
	"jacamar-ci/internal/job"
)

func accountMap(ctx context.Context, s Site) []Line {
	p := s.Config.Auth.AccountMap
	if p.IsZero() {
		return nil
	}
	if lines := s.untrusted(p); len(lines) > 0 {
		return lines
	}
	text, err := s.Trust.Read(p, accountmap.MaxSize)
	if err != nil {
		return []Line{fail("make it readable", "%v", err)}
	}
	users, err := accountmap.Parse(text)
	if err != nil {
		return []Line{fail("correct the lines", "%s: %v", p, err)}
	}
	var names []string
	for _, account := range users {
		names = append(names, account.String())
	}
	slices.Sort(names)
	lines := nobody(ctx, s.Names, "passwd", names, func(name string) Line {
		return warn("remove the line or correct the name", "%s names %s, which is no account here", p, name)
	})
	return or(lines, "%s has accounts for %d users", p, len(users))
}

func runAs(_ context.Context, s Site) []Line {
	p := s.Config.Auth.RunAs.ValidationScript
	if p.IsZero() {
		return nil
	}
	lines := s.untrusted(p)
	if len(lines) == 0 {
		if err := s.Script.Check(); err != nil {
			lines = append(lines, fail("correct the script or [auth.runas]", "%v", err))
		}
		lines = append(lines, s.interpreter(p)...)
	}
	if b, err := os.ReadFile("/proc/sys/vm/memfd_noexec"); err == nil && strings.TrimSpace(string(b)) == "2" {
		lines = append(lines, fail("run: sysctl vm.memfd_noexec=1", "the kernel forbids to run validation scripts from memory"))
	}
	return or(lines, "%s can be trusted and run", p)
}

// interpreter looks for the program of a "#!" line (execve(2)).
func (s Site) interpreter(script job.AbsPath) []Line {
	b, err := s.Trust.Read(script, 64<<20)
	first, _, _ := strings.Cut(string(b), "\n")
	rest, isScript := strings.CutPrefix(first, "#!")
	words := strings.Fields(rest)
	if err != nil || !isScript {
		return nil
	}
	if len(words) == 0 || !executable(words[0]) {
		return []Line{fail("install it or correct the first line", "%s wants an interpreter that is not there: %q", script, job.Clip(first))}
	}
	return nil
}
