package idtoken

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/jwks"
)

// store caches the key set of one URL in a file of the state directory.
type store struct {
	dir  statedir.Dir
	file string
	url  string
}

// maxCacheFile is the longest file in bytes: two sets.
const maxCacheFile = 2*jwks.MaxSet + 4<<10

func newStore(dir statedir.Dir, url string) store {
	sum := sha256.Sum256([]byte(url))
	return store{dir, "keys-" + hex.EncodeToString(sum[:8]) + ".json", url}
}

// load reads the cached set and creates a missing directory. A directory that others
// could change is a failure.Config error, because they could supply every key set in
// it. Any other error is why there is no set to trust.
func (s store) load() (cachedKeys, error) { return s.cached(s.dir.Load) }

// read is load without creating the directory.
func (s store) read() (cachedKeys, error) { return s.cached(s.dir.Read) }

func (s store) cached(read func(name string, limit int64) ([]byte, error)) (cachedKeys, error) {
	b, err := read(s.file, maxCacheFile)
	if err != nil {
		return cachedKeys{}, err
	}
	return decodeCached(b, s.url)
}

// save replaces the cached set.
func (s store) save(r cachedKeys) error {
	b, err := r.encode(s.url)
	if err != nil {
		return err
	}
	return s.dir.Replace(s.file, b)
}

// cacheVersion changes with the meaning of the cache file; a file of another version
// is ignored.
const cacheVersion = 1

// cachedKeys is the current key set and the state of the requests for it.
type cachedKeys struct {
	fetchedSet
	// attempted is the time of the last request; later than fetched after a failure.
	attempted time.Time
	// requestedKey is the key id that caused the last request.
	requestedKey string
	// former is the set that this one replaced if the two have no key in common, else
	// nil.
	former *fetchedSet
}

type fetchedSet struct {
	set     KeySet
	raw     []byte
	fetched time.Time
}

// replace returns the keys to cache after fresh was fetched. If the server has none of
// the cached keys, another server may have responded at its address: the cached set is
// cached as the former one, so that it stays usable, and change describes this. If the
// former keys are back, the set in between is dropped.
func (fresh cachedKeys) replace(cached cachedKeys) (next cachedKeys, change string) {
	next = fresh
	switch {
	case cached.set.Len() == 0:
		return next, ""
	case fresh.set.shares(cached.set):
		next.former = cached.former
		return next, ""
	case cached.former != nil && fresh.set.shares(cached.former.set):
		return next, fmt.Sprintf("the former keys are back (%s): those fetched in between are no longer trusted: %s", fresh.set, cached.fetchedSet)
	}
	next.former = &cached.fetchedSet
	return next, fmt.Sprintf("all keys changed at once, from %s to %s: check whether GitLab made this change", cached.fetchedSet, fresh.set)
}

func (f fetchedSet) String() string {
	return fmt.Sprintf("%s (fetched %s)", f.set, f.fetched.UTC().Format(time.RFC3339))
}

// cacheFile is the content of the cache. Its times are in seconds since 1970; Attempted is of
// the last request to the server, and RequestedKey the id of the key that it was for.
type cacheFile struct {
	Version      int             `json:"version"`
	URL          string          `json:"url"`
	Fetched      int64           `json:"fetched"`
	Attempted    int64           `json:"tried"`
	RequestedKey string          `json:"asked,omitempty"`
	Set          json.RawMessage `json:"set"`
	Former       *formerFile     `json:"before,omitempty"`
}

type formerFile struct {
	Fetched int64           `json:"fetched"`
	Set     json.RawMessage `json:"set"`
}

// encode writes the cache file for the URL of the set.
func (r cachedKeys) encode(url string) ([]byte, error) {
	f := cacheFile{Version: cacheVersion, URL: url, Fetched: r.fetched.Unix(), Attempted: r.attempted.Unix(), RequestedKey: r.requestedKey, Set: r.raw}
	if r.former != nil {
		f.Former = &formerFile{r.former.fetched.Unix(), r.former.raw}
	}
	return json.Marshal(f)
}

// decodeCached reads the output of encode for the same URL.
func decodeCached(b []byte, url string) (cachedKeys, error) {
	var f cacheFile
	switch {
	case json.Unmarshal(b, &f) != nil:
		return cachedKeys{}, fmt.Errorf("cached key set: damaged")
	case f.Version != cacheVersion || f.URL != url:
		return cachedKeys{}, fmt.Errorf("cached key set: from another server or version")
	}
	r := cachedKeys{attempted: time.Unix(f.Attempted, 0), requestedKey: f.RequestedKey}
	var err error
	if r.fetchedSet, err = decodeSet(f.Set, f.Fetched); err != nil {
		return cachedKeys{}, err
	}
	if f.Former != nil {
		before, err := decodeSet(f.Former.Set, f.Former.Fetched)
		if err != nil {
			return cachedKeys{}, err
		}
		r.former = &before
	}
	return r, nil
}

func decodeSet(raw []byte, fetched int64) (fetchedSet, error) {
	set, err := parseKeySet(raw)
	if err != nil {
		return fetchedSet{}, fmt.Errorf("cached key set: %w", err)
	}
	return fetchedSet{set, raw, time.Unix(fetched, 0)}, nil
}

// within reports whether t is at most limit ago. A time in the future, as after a
// clock was set back, is not.
func within(t time.Time, limit time.Duration, now time.Time) bool {
	ago := now.Sub(t)
	return ago >= 0 && ago <= limit
}
