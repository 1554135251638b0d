package check

import (
	"context"
	"fmt"
	"time"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
)

// slow is what a name service may take before every job's first stage suffers.
const slow = 2 * time.Second

func nameService(ctx context.Context, s Site) []Line {
	begin := time.Now()
	name, err := s.Names.Owner(ctx, job.Account{UID: s.UID})
	if err == nil {
		_, err = s.Names.Lookup(ctx, name)
	}
	switch took := time.Since(begin); {
	case err != nil:
		return []Line{fail("see that getent(1) answers: getent passwd "+fmt.Sprint(s.UID), "%v", err)}
	case took > slow:
		return []Line{warn("see what delays: time getent initgroups "+name.String(), "the name service took %s", took.Round(100*time.Millisecond))}
	}
	return []Line{ok("the name service knows %s", name)}
}

// shadow looks whether locked and expired accounts can be told from others. What root
// may read says nothing of what a service with another account may.
func shadow(ctx context.Context, s Site) []Line {
	if _, other := serviceAccount(ctx, s); other {
		return nil
	}
	asker, err := s.asksShadow(ctx)
	if err != nil {
		return nil // the check of the name service has it
	}
	reads, err := s.Names.ReadsShadow(ctx, asker)
	if err != nil {
		return []Line{fail("see that getent(1) answers: getent shadow daemon", "%v", err)}
	}
	return judgeShadow(reads, s.Config.Auth.RequireShadow, asker)
}

// asksShadow is the account as which getent looks for entries of shadow(5).
func (s Site) asksShadow(ctx context.Context) (job.Username, error) {
	if s.Helper.InUse && s.UID != 0 {
		return s.Helper.Name, nil
	}
	return s.Names.Owner(ctx, job.Account{UID: s.UID})
}

func judgeShadow(reads, required bool, asker job.Username) []Line {
	fix := fmt.Sprintf("let %s read it, by its group where the file has one (usermod -aG shadow %[1]s), and start the runner's service again", asker)
	switch {
	case reads:
		return []Line{ok("locked and expired accounts are refused, as far as shadow(5) has them")}
	case required:
		return []Line{fail(fix+"; or remove auth.require_shadow", "%s cannot read shadow(5), so that auth.require_shadow refuses every job", asker)}
	}
	return []Line{warn(fix+`; or see "Locked and expired accounts" in docs/authorization.md`,
		"%s cannot read shadow(5): locked and expired accounts run jobs", asker)}
}

// lists looks for entries that name nobody.
func lists(ctx context.Context, s Site) []Line {
	a := s.Config.Auth
	var lines []Line
	for _, l := range []struct {
		key, database string
		names         []string
	}{
		{"auth.user_allowlist", "passwd", texts(a.UserAllowlist)},
		{"auth.user_blocklist", "passwd", texts(a.UserBlocklist)},
		{"auth.groups_allowlist", "group", texts(a.GroupsAllowlist)},
		{"auth.groups_blocklist", "group", texts(a.GroupsBlocklist)},
	} {
		lines = append(lines, nobody(ctx, s.Names, l.database, l.names, func(name string) Line {
			return warn("remove it or correct its spelling", "%s names %q, which nobody is called here", l.key, name)
		})...)
	}
	return or(lines, "every entry names an account or a group")
}

func texts[T any](l config.List[T]) []string {
	var out []string
	for _, item := range l.Items {
		out = append(out, fmt.Sprint(item))
	}
	return out
}

// nobody says so of each name that the name service does not know.
func nobody(ctx context.Context, n account.Names, database string, names []string, say func(string) Line) []Line {
	missing, err := n.Missing(ctx, database, names)
	if err != nil {
		return []Line{fail("see that getent(1) answers: getent "+database, "%v", err)}
	}
	var lines []Line
	for _, name := range missing {
		lines = append(lines, say(name))
	}
	return lines
}

// log writes a record. Without a log the configuration's own warning is enough.
func log(ctx context.Context, s Site) []Line {
	l := s.Config.Auth.Logging
	if _, other := serviceAccount(ctx, s); other || !l.Enabled {
		return nil
	}
	where, file := logPlace(s)
	if err := s.Log.Try(); err != nil {
		return []Line{fail("make it writable, or name another place in [auth.logging]", "the operator's log cannot be written to %s: %v", where, err)}
	}
	var lines []Line
	if file {
		lines = logFile(s, where)
	} else {
		where += ", where others can write similar records and flood it (see \"Who can write to each destination\" in docs/tracing.md)"
	}
	return or(lines, "a record was written to %s", where)
}

// logPlace is where records go, in words; file reports whether that is a path.
func logPlace(s Site) (where string, file bool) {
	l := s.Config.Auth.Logging
	switch {
	case l.Address != "":
		return l.Network + " " + l.Address, false
	case l.Location != config.Location{}:
		return l.Location.String(), !l.Location.File.IsZero()
	}
	return s.StateDir.String() + "/" + config.LogName, true
}

// largeLog is a size in bytes that a log has only where nothing rotates it: some
// hundred thousand jobs.
const largeLog = 1 << 30

func logFile(s Site, where string) (lines []Line) {
	f, err := s.LogFile()
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	if info.Mode().Perm()&0o004 != 0 {
		lines = append(lines, warn("run: chmod o-r "+where, "everybody can read the operator's log %s (mode %04o)", where, info.Mode().Perm()))
	}
	if info.Size() > largeLog {
		lines = append(lines, warn("install the logrotate configuration of the package (see docs/install.md)", "the operator's log %s has %d MiB: nothing rotates it", where, info.Size()>>20))
	}
	return lines
}

func logins(_ context.Context, s Site) []Line {
	if s.Config.Auth.EnforceNologin && s.Names.LoginsOff() {
		return []Line{warn("remove /etc/nologin or /run/nologin when logins are wanted again", "logins are switched off: every job is refused")}
	}
	return nil
}
