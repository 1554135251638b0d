package idtoken

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/strictjson"
)

// AllRules returns every rule in the order in which they are checked.
func AllRules() []Rule {
	return []Rule{
		RuleAbsent, RuleSize, RuleForm, RuleHeader, RuleAlgorithm, RuleKeyID, RuleKey, RuleSignature, RuleClaims,
		RuleIssuer, RuleAudience, RuleTime, RuleSame, RuleExpired,
		RuleLogin, RuleJob, RuleProject, RuleFork, RulePipeline, RuleUser, RuleComposite, RuleRunner,
	}
}

// UnverifiedClaims returns the claims of the token as JSON. They are not verified.
func (t Token) UnverifiedClaims() []byte { return t.payload }

// Examine applies the site's rules to unverified claims, to show an administrator the
// outcome. Its result must never be used to run anything. The error is the first rule
// that refuses the claims; the identity has what could be read also then. Without an
// expected job, Examine expects the job that the claims name.
func Examine(payload []byte, rules Rules, expected claims.Expected, now time.Time) (claims.Identity, error) {
	values, err := strictjson.Object(payload)
	if err != nil {
		return claims.Identity{}, refuse(RuleClaims, "not one JSON object with distinct keys")
	}
	if expected == (claims.Expected{}) {
		expected = claimedJob(values)
	}
	c := &claimSet{values: values}
	id := readIdentity(c, expected)
	id.Token = claims.Token{ID: c.optional("jti", nameLength), Issuer: c.optional("iss", pathLength)}
	checked := &claimSet{values: values}
	token, err := acceptToken(checked, rules, now)
	if err != nil {
		return id, err
	}
	_, err = bind(checked, token, rules, expected)
	return id, err
}

// claimedJob returns the job that the claims name.
func claimedJob(values map[string]any) claims.Expected {
	c := &claimSet{values: values}
	e := claims.Expected{JobID: c.id("job_id"), ProjectID: c.id("project_id")}
	if c.has("job_project_id") {
		e.ProjectID = c.id("job_project_id")
	}
	return e
}

// Peek is Get without writing to the cache.
func (k *Keys) Peek(ctx context.Context, kid string, now time.Time) (KeySet, error) {
	cached, err := k.store.read()
	if err == nil {
		if last, ok := k.usable(cached, kid, now); ok {
			return last.set, nil
		}
	}
	fresh, err := k.fetch(ctx, now)
	switch {
	case err != nil:
		return KeySet{}, unavailable(err, kid)
	case !fresh.set.Has(kid):
		return KeySet{}, refuse(RuleKey, "the server has no key %q", kid)
	}
	return fresh.set, nil
}

// Probe is the state of the key server and of the cached keys, for an administrator.
type Probe struct {
	URL string
	// Connected reports whether a server accepted the connection.
	Connected bool
	// Secured reports whether its certificate was verified; false for http.
	Secured bool
	// Skew is how far its clock is ahead of this host's, to a second. SkewKnown is
	// false without a Date header.
	Skew      time.Duration
	SkewKnown bool
	// Keys is the number of keys that the server offers.
	Keys int
	// Err is why its response is not usable, nil if it is.
	Err error
	// CachedKeys and CachedAge describe the set in the state directory.
	CachedKeys int
	CachedAge  time.Duration
	// NoneOffered reports whether the server offers none of them.
	NoneOffered bool
	// CacheErr is why there is no usable set, nil if there is one.
	CacheErr error
	// Issuer is what the server itself writes into iss, "" where it does not publish
	// that.
	Issuer string
}

// discoveryDocument is where a server publishes its issuer, relative to its URL.
// Source: OpenID Connect Discovery 1.0, section 4.
const discoveryDocument = ".well-known/openid-configuration"

// issuer requests the issuer from GitLab; "" where there is no valid answer.
func (k *Keys) issuer(ctx context.Context) string {
	if k.settings.GitLab == nil {
		return ""
	}
	answer, _ := k.request(ctx, k.settings.GitLab.JoinPath(discoveryDocument))
	var document struct {
		Issuer string `json:"issuer"`
	}
	_ = json.Unmarshal(answer.Set, &document)
	return document.Issuer
}

// Probe requests the key set and reads the state directory. It changes no file, so
// that an administrator may call it as an account other than that of the service.
func (k *Keys) Probe(ctx context.Context, now time.Time) Probe {
	p := Probe{URL: k.url.Redacted()}
	start := time.Now()
	a, err := k.request(ctx, k.url)
	p.Connected, p.Secured, p.Err = a.Connected, a.Secured, err
	if !a.Date.IsZero() {
		p.Skew, p.SkewKnown = a.Date.Sub(now.Add(time.Since(start))).Round(time.Second), true
	}
	var offered KeySet
	if err == nil {
		offered, p.Err = parseKeySet(a.Set)
		p.Keys = offered.Len()
		p.Issuer = k.issuer(ctx)
	}
	cached, err := k.store.read()
	p.CacheErr = err
	if err == nil {
		p.CachedKeys, p.CachedAge = cached.set.Len(), now.Sub(cached.fetched)
		p.NoneOffered = p.Err == nil && !offered.shares(cached.set)
	}
	return p
}

// CheckCache returns why a job could not use what the file of the cached keys has, nil for
// a missing file. A fault of the directory itself is a failure.Config error.
func (k *Keys) CheckCache() error {
	_, err := k.store.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// CacheFile is the path of the file of the cached keys.
func (k *Keys) CacheFile() string { return k.Dir().String() + "/" + k.store.file }

// Keep caches a key set as one that was fetched now. It is for the private issuer of a
// trial, which has no server.
func (k *Keys) Keep(set []byte, now time.Time) error {
	parsed, err := parseKeySet(set)
	if err != nil {
		return err
	}
	return k.store.save(cachedKeys{fetchedSet: fetchedSet{parsed, set, now}, attempted: now})
}
