package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/accountmap"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
)

// untrusted are the reasons not to trust a file, as failures.
func (s Site) untrusted(p job.AbsPath) []Line { return failures(s.Trust.Check(p)) }

func failures(faults []trustedfile.Fault) []Line {
	var lines []Line
	for _, f := range faults {
		lines = append(lines, fail(f.Fix, "%s %s", f.Path, f.Problem))
	}
	return lines
}

// faultOr is the failure that an error describes where it is a fault of a file, which has its
// own fix, or otherwise another one.
func faultOr(err error, otherwise Line) []Line {
	if fault, ok := errors.AsType[*trustedfile.Fault](err); ok {
		return failures([]trustedfile.Fault{*fault})
	}
	return []Line{otherwise}
}

func configuration(ctx context.Context, s Site) []Line {
	lines := s.unusable(ctx, s.untrusted(s.File))
	if s.Config != nil {
		for _, w := range s.Config.Warnings {
			lines = append(lines, warn(s.correct(ctx, w), "%v", w))
		}
	}
	return or(lines, "%s can be trusted and has no error", s.File)
}

// unusable adds the errors of the file to the reasons not to trust it. The file is not read
// where there is such a reason, of which the error is then one.
func (s Site) unusable(ctx context.Context, lines []Line) []Line {
	_, same := errors.AsType[*trustedfile.Fault](s.Err)
	several, many := errors.AsType[*multierror.Error](s.Err)
	switch {
	case s.Err == nil, same && len(lines) > 0:
		return lines
	case many:
		for _, err := range several.Errors {
			lines = append(lines, fail(s.correct(ctx, err), "%v", err))
		}
		return lines
	}
	return append(lines, faultOr(s.Err, fail("correct it in "+s.File.String(), "%v", s.Err))...)
}

// correct is the fix for a fault of the file: the text to write, where it is known.
func (s Site) correct(ctx context.Context, err error) string {
	fix := "correct it in " + s.File.String()
	switch fault, _ := errors.AsType[config.Fault](err); {
	case fault.Write != "":
		fix += ": write " + fault.Write
	case fault.Key == "auth.logging.address":
		fix += addressFix(ctx, fault)
	}
	return fix
}

// addressFix completes the fix for a log server that is given by its host name: what
// to write instead.
func addressFix(ctx context.Context, fault config.Fault) string {
	host, port := config.SplitHostPort(fault.Value)
	if host == "" {
		return ""
	}
	r, _ := output(ctx, "/usr/bin/getent", "ahosts", host) // without an answer there is no address
	return writeAddress(host, port, string(r.Stdout))
}

// writeAddress takes the first address of a host from the output of getent ahosts.
func writeAddress(host, port, known string) string {
	first, _, _ := strings.Cut(known, " ")
	address, err := netip.ParseAddr(first)
	if err != nil {
		return fmt.Sprintf("; the name service has no address of %s", host)
	}
	return fmt.Sprintf(`: address = "%s"`, netip.AddrPortFrom(address, portNumber(port)))
}

func portNumber(text string) uint16 {
	n, _ := strconv.ParseUint(text, 10, 16) // SplitHostPort has judged it
	return uint16(n)
}

func caFile(_ context.Context, s Site) []Line {
	p := s.Config.General.TLSCAFile
	if p.IsZero() {
		return nil
	}
	return or(s.untrusted(p), "%s can be trusted", p)
}

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
		return faultOr(err, fail("make it readable", "%v", err))
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
	lines := unknown(ctx, s.Names, "passwd", names, func(name string) Line {
		return warn("remove the line or correct the name", "%s names %s, which is no account here", p, name)
	})
	return or(lines, "%s has accounts for %d users", p, len(users))
}

func runAs(_ context.Context, s Site) []Line {
	p := s.Config.Auth.RunAs.ValidationScript
	if p.IsZero() {
		return nil
	}
	setting, _ := os.ReadFile("/proc/sys/vm/memfd_noexec") // older kernels have none
	lines := append(s.untrusted(p), judgeMemfd(string(setting))...)
	if len(lines) == 0 {
		lines = s.judgeScript(p)
	}
	return or(lines, "%s can be trusted and run", p)
}

// judgeMemfd judges the value of vm.memfd_noexec. Where it forbids the memory that a script
// runs from, there is nothing to correct in the script.
func judgeMemfd(setting string) []Line {
	if strings.TrimSpace(setting) != "2" {
		return nil
	}
	return []Line{fail("run: sysctl vm.memfd_noexec=1", "the kernel does not let validation scripts run from memory")}
}

func (s Site) judgeScript(p job.AbsPath) (lines []Line) {
	if err := s.Script.Check(); err != nil {
		lines = append(lines, fail("correct the script or [auth.runas]", "%v", err))
	}
	text, err := s.Trust.Read(p, 64<<20)
	if err != nil {
		return lines // Check has the same error
	}
	return append(lines, interpreter(p, string(text))...)
}

// interpreter looks for the program of a "#!" line as the kernel reads it (execve(2)): its
// name ends at a space or a tab, so that a carriage return is a part of it.
func interpreter(script job.AbsPath, text string) []Line {
	first, _, _ := strings.Cut(text, "\n")
	rest, isScript := strings.CutPrefix(first, "#!")
	words := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune(" \t\x00", r) })
	switch {
	case strings.HasPrefix(first, "\x7fELF"):
		return nil
	case !isScript:
		return []Line{fail("write its interpreter in the first line, such as #!/bin/sh", "%s is neither a program nor a script with an interpreter: its first line is %q", script, job.Clip(first))}
	case strings.HasSuffix(first, "\r"):
		return []Line{fail(`remove the carriage returns: sed -i 's/\r$//' `+script.String()+"; and correct auth.runas.sha256 where it is set",
			"%s has lines that end in a carriage return, so that its interpreter does not exist: its first line is %q", script, job.Clip(first))}
	case len(words) == 0 || !executable(words[0]):
		return []Line{fail("install it or correct the first line", "%s needs an interpreter that does not exist: %q", script, job.Clip(first))}
	}
	return nil
}

// lists looks for entries without an account or a group.
func lists(ctx context.Context, s Site) []Line {
	a := s.Config.Auth
	var lines []Line
	for _, l := range []struct {
		key, database, kind string
		names               []string
	}{
		{"auth.user_allowlist", "passwd", "account", texts(a.UserAllowlist)},
		{"auth.user_blocklist", "passwd", "account", texts(a.UserBlocklist)},
		{"auth.groups_allowlist", "group", "group", texts(a.GroupsAllowlist)},
		{"auth.groups_blocklist", "group", "group", texts(a.GroupsBlocklist)},
	} {
		lines = append(lines, unknown(ctx, s.Names, l.database, l.names, func(name string) Line {
			return warn("remove it or correct its spelling", "%s names %q, and there is no such %s", l.key, name, l.kind)
		})...)
	}
	return or(append(lines, openTo(a)...), "every entry names an account or a group")
}

// openTo describes a site that restricts nothing, which some want and some forget.
func openTo(a config.Auth) []Line {
	if a.UserAllowlist.Set || a.GroupsAllowlist.Set || a.ProjectAllowlist.Set || !a.RunAs.ValidationScript.IsZero() || a.AccountSource == settings.Map || a.Downscope == settings.None {
		return nil
	}
	return []Line{ok("every account with a user id of %d or more may run jobs: auth.user_allowlist, groups_allowlist and project_allowlist restrict that", a.MinUID)}
}

func texts[T any](l config.List[T]) []string {
	var out []string
	for _, item := range l.Items {
		out = append(out, fmt.Sprint(item))
	}
	return out
}

// unknown gives a line for each name that the name service does not have.
func unknown(ctx context.Context, n account.Names, database string, names []string, line func(string) Line) []Line {
	missing, err := n.Missing(ctx, database, names)
	if err != nil {
		return []Line{fail("check that getent(1) answers: getent "+database, "%v", err)}
	}
	var lines []Line
	for _, name := range missing {
		lines = append(lines, line(name))
	}
	return lines
}
