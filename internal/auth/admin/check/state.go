package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// stateDirectory is looked at through the keys that are kept in it.
func stateDirectory(ctx context.Context, s Site) []Line {
	if _, other := serviceAccount(ctx, s); other || s.Helper.Lost != nil {
		return nil // its owner cannot be determined
	}
	if _, missing := os.Stat(s.StateDir.String()); os.IsNotExist(missing) {
		return s.parentOf(s.StateDir)
	}
	err := s.Keys.CheckCache()
	if fault, ok := errors.AsType[*statedir.Fault](err); ok {
		return []Line{fail(fault.Fix, "%s: %v", fault.Dir, fault.Err)}
	}
	return or(s.judgeState(s.Keys.CacheFile(), err, s.TryKey(ctx)), "%s keeps GitLab's keys, and the key that seals the state of jobs", s.StateDir)
}

// judgeState judges the two files that jobs need there.
func (s Site) judgeState(file string, cache, key error) (lines []Line) {
	if cache != nil {
		lines = append(lines, unusedKeys(file, cache))
	}
	if key != nil {
		lines = append(lines, fail(fmt.Sprintf("run: rm -r %s/seal.key", s.StateDir), "no job can pass on its state: %v", key))
	}
	return lines
}

// unusedKeys is about a file of keys that a job does not use: it fetches them again. It can
// replace any file by them, but not a directory.
func unusedKeys(file string, err error) Line {
	if fault, ok := errors.AsType[*trustedfile.Fault](err); ok {
		err = errors.New(fault.Problem)
	}
	return fail("run: rm -r "+file, "jobs do not use the keys in %s: %v", file, err)
}

// parentOf reports whether a directory can be made when it is needed: the helper
// account can write only in directories of its own.
func (s Site) parentOf(dir job.AbsPath) []Line {
	if s.Helper.Required {
		return []Line{fail(fmt.Sprintf("run: install -d -m 0700 -o %s -g %[1]s %s", s.Helper.Name, dir), "%s is missing", dir)}
	}
	parent := path.Dir(dir.String())
	info, err := os.Stat(parent)
	if err != nil || !info.IsDir() {
		return []Line{fail(fmt.Sprintf("run: mkdir -p %s && install -d -m 0700 -o %d %s", parent, s.UID, dir), "neither %s nor the directory above it exists", dir)}
	}
	return []Line{ok("%s will be made by the first job", dir)}
}

// keyServer sends one request to the server. What is wrong with jacamar-keys or with the
// CA file has a check of its own.
func keyServer(ctx context.Context, s Site) []Line {
	if s.FetcherErr != nil {
		return nil
	}
	if ca := s.Config.General.TLSCAFile; !ca.IsZero() && len(s.Trust.Check(ca)) > 0 {
		return nil
	}
	p := s.Keys.Probe(ctx, time.Now())
	return append(s.judgeServer(p), s.judgeIssuer(p.Issuer)...)
}

func (s Site) judgeServer(p idtoken.Probe) []Line {
	var lines []Line
	switch {
	case p.Err == nil:
		lines = append(lines, ok("%s offers %s", p.URL, count(p.Keys, "key")))
	case failure.KindOf(p.Err) == failure.Config:
		lines = append(lines, fail("correct general.tls-ca-file: it must have certificates in PEM form (openssl x509 -inform DER -in FILE converts one)", "%v", p.Err))
	case !p.Connected:
		lines = append(lines, fail("check that GitLab is up and that this host reaches it; general.https_proxy names a web proxy", "%v", p.Err))
	case strings.HasPrefix(p.URL, "https") && !p.Secured:
		lines = append(lines, fail("name the authority of its certificate in general.tls-ca-file", "%v", p.Err))
	default:
		lines = append(lines, fail("find out what answers there; general.jwks_url names another address", "%v", p.Err))
	}
	if p.NoneOffered {
		lines = append(lines, warn("find out which server answers there, and compare its keys with those that GitLab publishes", "%s offers none of the cached keys", p.URL))
	}
	lines = append(lines, judgeSkew(p)...)
	return append(lines, s.judgeKept(p)...)
}

// count is a number with its word.
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// judgeIssuer compares the issuer that the configuration requires of every token with
// the one that GitLab publishes; "" is not known.
func (s Site) judgeIssuer(published string) []Line {
	want := s.Config.General.JWTIssuer
	if published == "" || published == want {
		return nil
	}
	key := "jwt_issuer"
	if u, err := url.Parse(published); err == nil && want == s.Config.General.GitLabServer.String() && sameServer(u, s.Config.General.GitLabServer) {
		key = "gitlab_server"
	}
	return []Line{fail(fmt.Sprintf("write %s = %q under [general]", key, job.Clip(published)),
		"the tokens of this GitLab are from %q, and the configuration accepts only those from %q: every job is refused", job.Clip(published), want)}
}

// sameServer reports whether two URLs are of one server, however they are written.
func sameServer(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if u.Port() != "" {
			return u.Port()
		}
		return map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	return strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// skewWarning is far less than the difference of clocks that tokens may have.
const skewWarning = 10 * time.Second

func judgeSkew(p idtoken.Probe) []Line {
	const fix = "set the clock of this host by NTP (chronyc tracking)"
	switch off := p.Skew.Abs(); {
	case !p.SkewKnown:
		return nil
	case off > idtoken.MaxSkew:
		return []Line{fail(fix, "the clocks of the server and of this host differ by %s", off)}
	case off > skewWarning:
		return []Line{warn(fix, "the clocks of the server and of this host differ by %s", off)}
	}
	return []Line{ok("the clocks of the server and of this host agree")}
}

func (s Site) judgeKept(p idtoken.Probe) []Line {
	fix := "run: " + s.command("keys refresh")
	maxAge, staleMax := s.Config.General.JWKSMaxAge, s.Config.General.JWKSStaleMax
	switch {
	case p.CacheErr != nil && p.Err != nil:
		return []Line{fail("correct that, and then "+fix, "no keys are cached either: no job can run")}
	case p.CacheErr != nil && !errors.Is(p.CacheErr, fs.ErrNotExist):
		return nil // the check of the state directory reports it
	case p.CacheErr != nil:
		return []Line{ok("no keys are cached yet: the first job fetches them")}
	case p.CachedAge > staleMax:
		return []Line{warn(fix, "the cached keys are %s old and no longer used", p.CachedAge.Round(time.Hour))}
	case p.CachedAge > maxAge && p.Err != nil:
		return []Line{warn(fix, "the cached keys are %s old; they are used until %s", p.CachedAge.Round(time.Minute), staleMax)}
	}
	return []Line{ok("%s cached from earlier", count(p.CachedKeys, "key"))}
}

// command is a command of jacamar-admin for this site, as its administrator has to type it.
func (s Site) command(words string) string {
	line := s.adminProgram() + " " + words
	if s.File.String() != UsualConfiguration {
		line += " --configuration " + s.File.String()
	}
	return line
}

// adminProgram is the jacamar-admin that is installed with jacamar-auth.
func (s Site) adminProgram() string { return path.Join(path.Dir(s.Auth.String()), "jacamar-admin") }

// UsualConfiguration is the site's configuration where the command line names none.
const UsualConfiguration = "/etc/gitlab-runner/jacamar.toml"

// log writes a record. Where the log is off the configuration has a warning of its own.
func log(ctx context.Context, s Site) []Line {
	l := s.Config.Auth.Logging
	if _, other := serviceAccount(ctx, s); other || !l.Enabled {
		return nil
	}
	where, file := logPlace(s)
	if err := s.Log.WriteTest(); err != nil {
		return []Line{unwritten(where, err)}
	}
	if file {
		return or(logFile(s, where), "a record was written to %s", where)
	}
	return []Line{ok("a record was written to %s, where others can write similar records and flood it (see \"Who can write to each destination\" in docs/tracing.md)", where)}
}

// unwritten is a log that cannot be written.
func unwritten(where string, err error) Line {
	fix, text := "name another place in [auth.logging]", err.Error()
	if fault, ok := errors.AsType[*trustedfile.Fault](err); ok {
		fix, text = fault.Fix, fault.Path+" "+fault.Problem
	}
	return fail(fix, "the operator's log cannot be written to %s: %s", where, text)
}

// journal is opened as a stage opens it.
func journal(ctx context.Context, s Site) []Line {
	_, other := serviceAccount(ctx, s)
	_, missing := os.Stat(s.StateDir.String())
	if other || missing != nil || !s.Config.Auth.Journal.Enabled {
		return nil // the check of the state directory reports it
	}
	if err := s.TryJournal(ctx); err != nil {
		return []Line{fail("correct that, or set auth.journal.enabled = false", "the journal cannot be used, so that jobs are not listed, drained or stopped: %v", err)}
	}
	return []Line{ok("live and ended jobs are recorded in %s/journal", s.StateDir)}
}

// logPlace describes where records go; file reports whether that is a path.
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

// largeLog is a size in bytes that a log reaches only where nothing rotates it, after
// about a hundred thousand jobs.
const largeLog = 1 << 30

func logFile(s Site, where string) []Line {
	f, err := s.LogFile()
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	return judgeLogFile(where, info.Mode(), info.Size())
}

func judgeLogFile(where string, mode fs.FileMode, size int64) (lines []Line) {
	if mode.Perm()&0o004 != 0 {
		lines = append(lines, warn("run: chmod o-r "+where, "any account can read the operator's log %s (mode %04o)", where, mode.Perm()))
	}
	if size > largeLog {
		lines = append(lines, warn("install the logrotate configuration of the package (see docs/install.md)", "the operator's log %s has %d MiB: nothing rotates it", where, size>>20))
	}
	return lines
}
