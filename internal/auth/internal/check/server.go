package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// stateDirectory is looked at through the keys that are kept in it.
func stateDirectory(ctx context.Context, s Site) []Line {
	if _, other := serviceAccount(ctx, s); other || s.Helper.Lost {
		return nil // whose it is to be cannot be told
	}
	if _, missing := os.Stat(s.StateDir.String()); os.IsNotExist(missing) {
		return s.parentOf(s.StateDir)
	}
	var fault *statedir.Fault
	switch err := s.Keys.CheckCache(); {
	case errors.As(err, &fault):
		return []Line{fail(fault.Fix, "%s: %v", fault.Dir, fault.Err)}
	case failure.KindOf(err) == failure.Config:
		return []Line{fail("correct general.state_dir", "%v", err)}
	}
	return []Line{ok("%s keeps GitLab's keys, and the key that seals the state of jobs", s.StateDir)}
}

// parentOf reports whether a directory can be made when it is needed: the helper
// account can write in no directory that is not its own.
func (s Site) parentOf(dir job.AbsPath) []Line {
	if s.Helper.Required {
		return []Line{fail(fmt.Sprintf("run: install -d -m 0700 -o %s -g %[1]s %s", s.Helper.Name, dir), "%s is missing", dir)}
	}
	parent := path.Dir(dir.String())
	info, err := os.Stat(parent)
	if err != nil || !info.IsDir() {
		return []Line{fail(fmt.Sprintf("run: install -d -m 0700 -o %d %s", s.UID, dir), "neither %s nor the directory above it is there", dir)}
	}
	return []Line{ok("%s will be made by the first job", dir)}
}

// keyServer asks the server once.
func keyServer(ctx context.Context, s Site) []Line {
	now := time.Now()
	return judgeServer(s.Keys.Probe(ctx, now), s.Config.General.JWKSMaxAge, s.Config.General.JWKSStaleMax)
}

func judgeServer(p idtoken.Probe, maxAge, staleMax time.Duration) []Line {
	var lines []Line
	switch {
	case p.Err == nil:
		lines = append(lines, ok("%s offers %d keys", p.URL, p.Keys))
	case !p.Connected:
		lines = append(lines, fail("see that GitLab is up and that this host reaches it; general.https_proxy names a web proxy", "%v", p.Err))
	case strings.HasPrefix(p.URL, "https") && !p.Secured:
		lines = append(lines, fail("name the authority of its certificate in general.tls-ca-file", "%v", p.Err))
	default:
		lines = append(lines, fail("see what answers there; general.jwks_url names another address", "%v", p.Err))
	}
	if p.NoneOffered {
		lines = append(lines, warn("see who answers there, and compare its keys with those that GitLab publishes", "%s offers none of the keys that are kept", p.URL))
	}
	lines = append(lines, judgeSkew(p)...)
	return append(lines, judgeKept(p, maxAge, staleMax)...)
}

const (
	// skewLimit is what a token's times may be off (idtoken).
	skewLimit = time.Minute
	skewWorry = 10 * time.Second
)

func judgeSkew(p idtoken.Probe) []Line {
	const fix = "set the clock of this host by NTP (chronyc tracking)"
	switch off := p.Skew.Abs(); {
	case !p.SkewKnown:
		return nil
	case off > skewLimit:
		return []Line{fail(fix, "the server's clock and this host's are %s apart", off)}
	case off > skewWorry:
		return []Line{warn(fix, "the server's clock and this host's are %s apart", off)}
	}
	return []Line{ok("the server's clock and this host's agree")}
}

func judgeKept(p idtoken.Probe, maxAge, staleMax time.Duration) []Line {
	const fix = "run: jacamar-auth keys refresh"
	switch {
	case p.CacheErr != nil && p.Err != nil:
		return []Line{fail(fix, "no keys are kept either: no job can run")}
	case p.CacheErr != nil:
		return []Line{ok("no keys are kept yet: the first job fetches them")}
	case p.CachedAge > staleMax:
		return []Line{warn(fix, "the kept keys are %s old and of no use", p.CachedAge.Round(time.Hour))}
	case p.CachedAge > maxAge && p.Err != nil:
		return []Line{warn(fix, "the kept keys are %s old; they serve until %s", p.CachedAge.Round(time.Minute), staleMax)}
	}
	return []Line{ok("%d keys are kept", p.CachedKeys)}
}
