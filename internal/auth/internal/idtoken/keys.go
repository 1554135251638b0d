package idtoken

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// pause is how long after one question to the server the next is not asked, so
// that tokens with made-up key ids cannot be turned against it.
const pause = time.Minute

// KeySettings are where keys come from and how long they are believed.
type KeySettings struct {
	// GitLab is the address of GitLab (gitlab_server).
	GitLab *url.URL
	// JWKS is the address of the key set itself (jwks_url), nil for GitLab's own.
	JWKS *url.URL
	// AnyLoopbackPort accepts http from a port that is not root's
	// (insecure_loopback_http).
	AnyLoopbackPort bool
	// Proxy is a web proxy by which an https server is reached (https_proxy), nil for
	// none.
	Proxy *url.URL
	// CAFile has the CAs that may vouch for the server (tls-ca-file), zero for the
	// system's.
	CAFile job.AbsPath
	// State is where the set is kept.
	State statedir.Dir
	// MaxAge is how long a fetched set is used without asking again.
	MaxAge time.Duration
	// StaleMax is how long it is used while the server cannot be asked.
	StaleMax time.Duration
	// Program finds jacamar-keys, once keys have to be fetched.
	Program func() (job.AbsPath, error)
	// FetchAs are the ids that it runs with, nil for this process's own.
	FetchAs *thread.IDs
	// Warn is told what did not stop the work: a set that could not be kept, a
	// server that is down while an older set still serves. nil hears nothing.
	Warn func(error)
}

// Keys gives the server's key set, from the state directory where it can.
type Keys struct {
	settings KeySettings
	server   server
	store    store
}

// NewKeys checks the settings; it opens nothing.
func NewKeys(s KeySettings) (*Keys, error) {
	u, err := endpoint(s)
	if err != nil {
		return nil, err
	}
	if s.Warn == nil {
		s.Warn = func(error) {}
	}
	return &Keys{s, server{u, s.Proxy, s.CAFile, s.Program, s.FetchAs}, newStore(s.State, u.String())}, nil
}

// Dir returns the directory in which sets are kept.
func (k *Keys) Dir() job.AbsPath { return k.store.dir.Path() }

// For returns a set that has the key a token names. It asks the server when the
// kept set is missing, too old or without that key, and at most once a minute.
func (k *Keys) For(ctx context.Context, kid string, now time.Time) (KeySet, error) {
	kept, err := k.store.load()
	switch {
	case failure.KindOf(err) == failure.Config:
		return KeySet{}, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		k.settings.Warn(failure.Privatef("the kept keys are fetched again: %w", err))
	case within(kept.fetched, k.settings.MaxAge, now) && kept.set.Has(kid):
		return kept.set, nil
	}
	current, err := k.renew(ctx, kept, kid, now)
	if err != nil {
		return k.stale(kept, kid, now, err)
	}
	if last, believed := k.serving(current, kid, now); believed {
		return last.set, nil
	}
	if current.asked != kid {
		return KeySet{}, notYet(kid, current, now)
	}
	return KeySet{}, refuse(RuleKey, "the server has no key %q", kid)
}

// stale returns a kept set that has the key, while the server cannot be asked for
// the reason given.
func (k *Keys) stale(kept record, kid string, now time.Time, reason error) (KeySet, error) {
	last, believed := k.serving(kept, kid, now)
	if !believed {
		return KeySet{}, unavailable(reason, kid)
	}
	k.settings.Warn(failure.Privatef("keys of %s still serve: %w", last.fetched.UTC().Format(time.RFC3339), reason))
	return last.set, nil
}

// serving finds the kept set with the key, as far as it is believed without the
// server: one that the server has replaced for no longer than MaxAge.
func (k *Keys) serving(kept record, kid string, now time.Time) (last fetchedSet, believed bool) {
	limit := max(k.settings.MaxAge, k.settings.StaleMax)
	if last = kept.fetchedSet; kept.before != nil && !last.set.Has(kid) {
		last, limit = *kept.before, k.settings.MaxAge
	}
	return last, last.set.Has(kid) && within(last.fetched, limit, now)
}

// unavailable is the failure of a token that cannot be judged for want of its key.
func unavailable(err error, kid string) error {
	if failure.KindOf(err) == failure.Config {
		return err
	}
	return failure.Privatef("cannot verify a token: its key %q is not at hand, and %w", kid, err)
}

// notYet is the failure of a token whose key may be newer than the kept set, at a
// time when the server is not asked.
func notYet(kid string, kept record, now time.Time) error {
	wait := max(pause-now.Sub(kept.tried), time.Second).Round(time.Second)
	return failure.Privatef("cannot verify a token: its key %q is not among those of %s ago, and the server is not asked again for %s",
		kid, whole(now.Sub(kept.fetched)), wait).
		WithPublic("this CI resource does not know the key of the job's id_token yet").
		WithHint("retry the job in %s: GitLab's keys are looked up at most once a minute", wait)
}

// renew asks the server for a set with the key to replace the kept one, unless it was
// asked within the last minute; then the answer of that time stands.
func (k *Keys) renew(ctx context.Context, kept record, kid string, now time.Time) (record, error) {
	if within(kept.tried, pause, now) {
		// A set of later than the question is not its answer: the clock was set back.
		if !kept.tried.Equal(kept.fetched) {
			return record{}, fmt.Errorf("%s failed to give keys %s ago", k.server.url.Redacted(), whole(now.Sub(kept.tried)))
		}
		return kept, nil
	}
	// Noted before the answer is there, so that others do not ask meanwhile.
	if kept.set.Len() > 0 {
		kept.tried, kept.asked = now, kid
		k.keep(kept)
	}
	fresh, err := k.ask(ctx, now)
	if err != nil {
		return record{}, err
	}
	fresh.asked = kid
	next := k.replace(kept, fresh)
	k.keep(next)
	return next, nil
}

// replace gives the operator notice of a change that a rotation of keys does not
// make.
func (k *Keys) replace(kept, fresh record) record {
	next, change := fresh.replacing(kept)
	if change != "" {
		k.settings.Warn(failure.Privatef("%s: %s", k.server.url.Redacted(), change))
	}
	return next
}

// Refresh fetches the set and keeps it. It is for a timer at sites that want the
// network out of the jobs' way.
func (k *Keys) Refresh(ctx context.Context, now time.Time) (KeySet, error) {
	return k.refresh(ctx, now, false)
}

// Forget is Refresh after which nothing is believed that was fetched before.
func (k *Keys) Forget(ctx context.Context, now time.Time) (KeySet, error) {
	return k.refresh(ctx, now, true)
}

func (k *Keys) refresh(ctx context.Context, now time.Time, forget bool) (KeySet, error) {
	kept, err := k.store.load()
	if failure.KindOf(err) == failure.Config {
		return KeySet{}, err
	}
	fresh, err := k.ask(ctx, now)
	if err != nil {
		return KeySet{}, err
	}
	next := k.replace(kept, fresh)
	if forget {
		next.before = nil
	}
	if err := k.store.save(next); err != nil {
		return KeySet{}, failure.Privatef("cannot keep the keys in %s: %w", k.Dir(), err)
	}
	return next.set, nil
}

// ask fetches the set and reads it.
func (k *Keys) ask(ctx context.Context, now time.Time) (record, error) {
	a, err := k.server.fetch(ctx)
	if err != nil {
		return record{}, err
	}
	set, err := ParseKeySet(a.Set)
	if err != nil {
		return record{}, failure.Privatef("cannot use the keys of %s: %w", k.server.url.Redacted(), err)
	}
	return record{fetchedSet: fetchedSet{set, a.Set, now}, tried: now}, nil
}

// keep saves what it can: a full disk must not stop a job whose keys are at hand.
func (k *Keys) keep(r record) {
	if err := k.store.save(r); err != nil {
		k.settings.Warn(failure.Privatef("cannot keep the keys in %s: %w", k.Dir(), err))
	}
}
