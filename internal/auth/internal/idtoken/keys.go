package idtoken

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

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
	// CAFile has the CAs that may vouch for the server (tls-ca-file), zero for the
	// system's.
	CAFile job.AbsPath
	// StateDir is where the set is kept, of the effective uid and 0700, or root's.
	StateDir job.AbsPath
	// MaxAge is how long a fetched set is used without asking again.
	MaxAge time.Duration
	// StaleMax is how long it is used while the server cannot be asked.
	StaleMax time.Duration
	// Program finds jacamar-keys, once keys have to be fetched.
	Program func() (job.AbsPath, error)
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
	u, err := endpoint(s.GitLab, s.JWKS)
	if err != nil {
		return nil, err
	}
	kept, err := newStore(s.StateDir, u.String())
	if err != nil {
		return nil, err
	}
	if s.Warn == nil {
		s.Warn = func(error) {}
	}
	return &Keys{s, server{u, s.CAFile, s.Program}, kept}, nil
}

// For returns a set that has the key a token names. It asks the server when the
// kept set is missing, too old or without that key, and at most once a minute.
func (k *Keys) For(ctx context.Context, kid string, now time.Time) (KeySet, error) {
	kept, err := k.store.load()
	switch {
	case failure.KindOf(err) == failure.Config:
		return KeySet{}, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		k.settings.Warn(failure.Privatef("the kept keys are fetched anew: %w", err))
	case within(kept.fetched, k.settings.MaxAge, now) && kept.set.Has(kid):
		return kept.set, nil
	}
	set, err := k.renew(ctx, kept, now)
	switch {
	case err == nil && !set.Has(kid):
		return KeySet{}, refuse(RuleKey, "the server has no key %q", kid)
	case err == nil:
		return set, nil
	case !kept.set.Has(kid) || !within(kept.fetched, max(k.settings.MaxAge, k.settings.StaleMax), now):
		return KeySet{}, unavailable(err, kid)
	}
	k.settings.Warn(failure.Privatef("keys of %s still serve: %w", kept.fetched.UTC().Format(time.RFC3339), err))
	return kept.set, nil
}

// unavailable is the failure of a token that cannot be judged for want of its key.
func unavailable(err error, kid string) error {
	if failure.KindOf(err) == failure.Config {
		return err
	}
	return failure.Privatef("cannot verify a token: its key %q is not at hand, and %w", kid, err)
}

// renew asks the server for a set in place of the kept one, unless it was asked
// within the last minute; then the answer of that time stands.
func (k *Keys) renew(ctx context.Context, kept record, now time.Time) (KeySet, error) {
	if within(kept.tried, pause, now) {
		// A set of later than the question is not its answer: the clock was set back.
		if !kept.tried.Equal(kept.fetched) {
			return KeySet{}, fmt.Errorf("%s failed to give keys %s ago", k.server.url.Redacted(), whole(now.Sub(kept.tried)))
		}
		return kept.set, nil
	}
	// Noted before the answer is there, so that others do not ask meanwhile.
	if kept.set.Len() > 0 {
		kept.tried = now
		k.keep(kept)
	}
	fresh, err := k.ask(ctx, now)
	if err != nil {
		return KeySet{}, err
	}
	k.keep(fresh)
	return fresh.set, nil
}

// Refresh fetches the set and keeps it, whatever was kept before. It is for a
// timer at sites that want the network out of the jobs' way.
func (k *Keys) Refresh(ctx context.Context, now time.Time) (KeySet, error) {
	if _, err := k.store.load(); failure.KindOf(err) == failure.Config {
		return KeySet{}, err
	}
	fresh, err := k.ask(ctx, now)
	if err != nil {
		return KeySet{}, err
	}
	if err := k.store.save(fresh); err != nil {
		return KeySet{}, failure.Privatef("cannot keep the keys in %s: %w", k.settings.StateDir, err)
	}
	return fresh.set, nil
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
	return record{set, a.Set, now, now}, nil
}

// keep saves what it can: a full disk must not stop a job whose keys are at hand.
func (k *Keys) keep(r record) {
	if err := k.store.save(r); err != nil {
		k.settings.Warn(failure.Privatef("cannot keep the keys in %s: %w", k.settings.StateDir, err))
	}
}
