package idtoken

import (
	"crypto/rsa"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"jacamar-ci/internal/jwks"
)

const (
	maxKeys = 64
	// minModulus is NIST SP 800-131A's lower bound. The upper one, which bounds
	// the time of a verification, is go-jose's: 4096.
	minModulus = 2048
	// minExponent is FIPS 186-5's lower bound and GitLab's own value; maxExponent
	// is what crypto/rsa takes.
	minExponent = 65537
	maxExponent = 1<<31 - 1
)

// KeySet is the RSA signing keys that a server published.
type KeySet struct{ keys map[string]*rsa.PublicKey }

// Len returns the number of keys.
func (s KeySet) Len() int { return len(s.keys) }

// Has tells whether the set has a key of this id.
func (s KeySet) Has(kid string) bool { return s.keys[kid] != nil }

// ParseKeySet reads a JWK set (RFC 7517). Keys of other types and uses are
// skipped; a set in which a signing key is weak, private or ambiguous is refused
// as a whole, because its server is not what the site thinks.
func ParseKeySet(b []byte) (KeySet, error) {
	if len(b) > jwks.MaxSet {
		return KeySet{}, fmt.Errorf("the key set has more than %d bytes", jwks.MaxSet)
	}
	if _, ok := decodeObject(b); !ok {
		return KeySet{}, fmt.Errorf("the key set is not one JSON object with distinct keys")
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return KeySet{}, fmt.Errorf("the key set has no list of keys")
	}
	if len(raw.Keys) > maxKeys {
		return KeySet{}, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	return collect(raw.Keys)
}

func collect(entries []json.RawMessage) (KeySet, error) {
	set := KeySet{make(map[string]*rsa.PublicKey, len(entries))}
	for i, entry := range entries {
		kid, key, err := parseKey(entry)
		switch {
		case err != nil:
			return KeySet{}, fmt.Errorf("key %d of the key set %w", i+1, err)
		case key == nil:
			continue
		case set.Has(kid):
			return KeySet{}, fmt.Errorf("the key set has two keys with the id %q", kid)
		}
		set.keys[kid] = key
	}
	if len(set.keys) == 0 {
		return KeySet{}, fmt.Errorf("the key set has no RSA signing key")
	}
	return set, nil
}

// parseKey returns no key for an entry that no id_token can be signed with: one
// of another type or use, or without an id that a token could name.
func parseKey(entry []byte) (kid string, key *rsa.PublicKey, err error) {
	var kind struct {
		Type      string `json:"kty"`
		Use       string `json:"use"`
		Algorithm string `json:"alg"`
		ID        string `json:"kid"`
	}
	if err := json.Unmarshal(entry, &kind); err != nil {
		return "", nil, fmt.Errorf("is not a JWK")
	}
	signs := (kind.Use == "" || kind.Use == "sig") && (kind.Algorithm == "" || kind.Algorithm == string(jose.RS256))
	if kind.Type != "RSA" || !signs || !saneKeyID(kind.ID) {
		return "", nil, nil
	}
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(entry, &jwk); err != nil {
		return "", nil, fmt.Errorf("is not an RSA key of at most 4096 bits")
	}
	key, public := jwk.Key.(*rsa.PublicKey)
	if !public {
		return "", nil, fmt.Errorf("is a private key")
	}
	return kind.ID, key, checkStrength(key)
}

func checkStrength(key *rsa.PublicKey) error {
	bits := key.N.BitLen()
	switch {
	case bits < minModulus:
		return fmt.Errorf("has %d bits, fewer than %d", bits, minModulus)
	case key.E < minExponent || key.E > maxExponent || key.E%2 == 0:
		return fmt.Errorf("has the public exponent %d", key.E)
	}
	return nil
}
