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
	"jacamar-ci/internal/jwks"
)

// minFetchInterval is the time between two requests to the server, so that tokens
// with invented key ids cannot overload it.
const minFetchInterval = time.Minute

// KeySettings define where keys come from and how long they are trusted.
type KeySettings struct {
	// GitLab is the URL of GitLab (gitlab_server).
	GitLab *url.URL
	// JWKS is the URL of the key set (jwks_url), nil for GitLab's own.
	JWKS *url.URL
	// AnyLoopbackPort accepts http from an unreserved port (insecure_loopback_http).
	AnyLoopbackPort bool
	// Proxy is the web proxy for an https server (https_proxy), nil for none.
	Proxy *url.URL
	// CAFile has the trusted CAs (tls-ca-file), zero for those of the system.
	CAFile job.AbsPath
	// State is where the set is cached.
	State statedir.Dir
	// MaxAge is how long a fetched set is used without another request.
	MaxAge time.Duration
	// StaleMax is how long it is used while the server is not available.
	StaleMax time.Duration
	// Program finds jacamar-keys; it is called only if keys have to be fetched.
	Program func() (job.AbsPath, error)
	// FetchAs are the ids that it runs with, nil for this process's own.
	FetchAs *thread.IDs
	// Warn gets the errors that do not stop the stage, such as a set that could not be
	// cached or a server that is not available while a cached set is usable. It may be
	// nil.
	Warn func(error)
}

// Keys provides the server's key set, from the cache in the state directory if
// possible.
type Keys struct {
	settings KeySettings
	url      *url.URL // of the key set
	store    store
	turn     time.Duration // how long another process's request is awaited
}

// NewKeys checks the settings. It opens no file and sends no request.
func NewKeys(s KeySettings) (*Keys, error) {
	u, err := endpoint(s)
	if err != nil {
		return nil, err
	}
	if s.Warn == nil {
		s.Warn = func(error) {}
	}
	return &Keys{s, u, newStore(s.State, u.String()), turnLimit}, nil
}

// Dir returns the directory of the cache.
func (k *Keys) Dir() job.AbsPath { return k.store.dir.Path() }

// Get returns a set with the key that a token names. It requests the set from the
// server if the cached one is missing, too old or lacks that key, at most once a
// minute.
func (k *Keys) Get(ctx context.Context, kid string, now time.Time) (KeySet, error) {
	cached, err := k.store.load()
	switch {
	case failure.KindOf(err) == failure.Config:
		return KeySet{}, err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		k.settings.Warn(failure.Privatef("refetching the cached keys: %w", err))
	case within(cached.fetched, k.settings.MaxAge, now) && cached.set.Has(kid):
		return cached.set, nil
	}
	release, waited, err := k.awaitTurn(ctx, cached, kid, now)
	if err != nil {
		return k.fallback(cached, kid, now, err)
	}
	defer release()
	now = now.Add(waited)
	if latest, err := k.store.load(); err == nil { // another process may have sent a request
		cached = latest
	}
	if within(cached.fetched, k.settings.MaxAge, now) && cached.set.Has(kid) {
		return cached.set, nil
	}
	current, err := k.update(ctx, cached, kid, now)
	if err != nil {
		return k.fallback(cached, kid, now, err)
	}
	if last, ok := k.usable(current, kid, now); ok {
		return last.set, nil
	}
	if current.requestedKey != kid {
		return KeySet{}, unknownKey(kid, current, now)
	}
	return KeySet{}, refuse(RuleKey, "the server has no key %q", kid)
}

// fallback returns a cached set that has the key while the server is not available
// for the given reason.
func (k *Keys) fallback(cached cachedKeys, kid string, now time.Time, reason error) (KeySet, error) {
	last, ok := k.usable(cached, kid, now)
	if !ok {
		return KeySet{}, unavailable(reason, kid)
	}
	k.settings.Warn(failure.Privatef("using keys cached at %s: %w", last.fetched.UTC().Format(time.RFC3339), reason))
	return last.set, nil
}

// usable returns the cached set with the key if it may be used without a request: the
// current set until it is too old, a former one until MaxAge.
func (k *Keys) usable(cached cachedKeys, kid string, now time.Time) (last fetchedSet, ok bool) {
	limit := max(k.settings.MaxAge, k.settings.StaleMax)
	if last = cached.fetchedSet; cached.former != nil && !last.set.Has(kid) {
		last, limit = *cached.former, k.settings.MaxAge
	}
	return last, last.set.Has(kid) && within(last.fetched, limit, now)
}

// unavailable is the failure of a token whose key cannot be fetched.
func unavailable(err error, kid string) error {
	if failure.KindOf(err) == failure.Config {
		return err
	}
	return failure.Privatef("cannot verify a token: its key %q is not cached: %w", kid, err)
}

// unknownKey is the failure of a token whose key may be newer than the cached set
// before the next request to the server is due.
func unknownKey(kid string, cached cachedKeys, now time.Time) error {
	wait := max(minFetchInterval-now.Sub(cached.attempted), time.Second).Round(time.Second)
	return failure.Privatef("cannot verify a token: its key %q is not among those fetched %s ago; the next request to the server is in %s",
		kid, wholeSeconds(now.Sub(cached.fetched)), wait).
		WithPublic("this CI resource has not fetched the key of the job's id_token yet").
		WithHint("retry the job in %s: GitLab's keys are fetched at most once a minute", wait)
}

// awaitTurn keeps other processes from sending a request until it is released. It returns how
// long it has waited for one of another process. Where the cached set has the key, it does not
// wait, and returns an error. Where the state directory cannot be locked, or stays locked for
// longer than a request takes, as by a process that was stopped, all send requests.
func (k *Keys) awaitTurn(ctx context.Context, cached cachedKeys, kid string, now time.Time) (release func(), waited time.Duration, err error) {
	begun := time.Now()
	release, err = k.store.dir.Lock(ctx, begun)
	if errors.Is(err, statedir.ErrLocked) {
		if _, usable := k.usable(cached, kid, now); usable {
			return nil, 0, fmt.Errorf("another process is fetching keys from %s", k.url.Redacted())
		}
		release, err = k.store.dir.Lock(ctx, begun.Add(k.turn))
		waited = time.Since(begun)
	}
	if err != nil {
		release = func() {}
	}
	return release, waited, nil
}

// turnLimit is how long the request of another process may take, with the start of the
// program that sends it.
const turnLimit = jwks.Timeout + 5*time.Second

// update requests a set with the key from the server to replace the cached one. Within
// minFetchInterval of the last request it returns the result of that request instead.
func (k *Keys) update(ctx context.Context, cached cachedKeys, kid string, now time.Time) (cachedKeys, error) {
	if within(cached.attempted, minFetchInterval, now) {
		// fetched after attempted means that the clock was set back since.
		if !cached.attempted.Equal(cached.fetched) {
			return cachedKeys{}, fmt.Errorf("fetching keys from %s failed %s ago", k.url.Redacted(), wholeSeconds(now.Sub(cached.attempted)))
		}
		return cached, nil
	}
	// Saved before the request: where this process is killed, the others send none at once.
	if cached.set.Len() > 0 {
		cached.attempted, cached.requestedKey = now, kid
		k.trySave(cached)
	}
	fresh, err := k.fetch(ctx, now)
	if err != nil {
		return cachedKeys{}, err
	}
	fresh.requestedKey = kid
	next := k.replaceCached(cached, fresh)
	k.trySave(next)
	return next, nil
}

// replaceCached warns the operator of a change that is not a rotation of keys.
func (k *Keys) replaceCached(cached, fresh cachedKeys) cachedKeys {
	next, change := fresh.replace(cached)
	if change != "" {
		k.settings.Warn(failure.Privatef("%s: %s", k.url.Redacted(), change))
	}
	return next
}

// Refresh fetches the set and caches it. It is for a timer at sites whose jobs should
// not wait for the network. With forget, a set that was fetched before is no longer
// trusted.
func (k *Keys) Refresh(ctx context.Context, now time.Time, forget bool) (KeySet, error) {
	if _, err := k.store.load(); failure.KindOf(err) == failure.Config {
		return KeySet{}, err
	}
	if release, err := k.store.dir.Lock(ctx, time.Now().Add(k.turn)); err == nil {
		defer release()
	}
	cached, _ := k.store.load() // no set where it cannot be read
	fresh, err := k.fetch(ctx, now)
	if err != nil {
		return KeySet{}, err
	}
	next := k.replaceCached(cached, fresh)
	if forget {
		next.former = nil
	}
	if err := k.store.save(next); err != nil {
		return KeySet{}, failure.Privatef("cannot cache the keys in %s: %w", k.Dir(), err)
	}
	return next.set, nil
}

// fetch fetches and parses the set.
func (k *Keys) fetch(ctx context.Context, now time.Time) (cachedKeys, error) {
	a, err := k.request(ctx, k.url)
	if err != nil {
		return cachedKeys{}, err
	}
	set, err := parseKeySet(a.Set)
	if err != nil {
		return cachedKeys{}, failure.Privatef("cannot use the keys of %s: %w", k.url.Redacted(), err)
	}
	return cachedKeys{fetchedSet: fetchedSet{set, a.Set, now}, attempted: now}, nil
}

// trySave only warns on failure: a full disk must not stop a job whose keys were
// fetched.
func (k *Keys) trySave(r cachedKeys) {
	if err := k.store.save(r); err != nil {
		k.settings.Warn(failure.Privatef("cannot cache the keys in %s: %w", k.Dir(), err))
	}
}
