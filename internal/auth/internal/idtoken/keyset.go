package idtoken

import (
	"crypto/rsa"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/strictjson"
)

const (
	maxKeys = 64
	// minModulus is the lower bound of NIST SP 800-131A in bits. maxModulus bounds the
	// time of a verification.
	minModulus = 2048
	maxModulus = 4096
	// minExponent is the lower bound of FIPS 186-5 and GitLab's own value; maxExponent
	// is the maximum of crypto/rsa.
	minExponent = 65537
	maxExponent = 1<<31 - 1
)

// KeySet has the RSA signing keys that a server published.
type KeySet struct{ keys map[string]*rsa.PublicKey }

// Len returns the number of keys.
func (s KeySet) Len() int { return len(s.keys) }

// Has reports whether the set has a key with this id.
func (s KeySet) Has(kid string) bool { return s.keys[kid] != nil }

// shares reports whether both sets have a key in common. The same id is not enough:
// another server can choose it.
func (s KeySet) shares(other KeySet) bool {
	for kid, key := range s.keys {
		if o := other.keys[kid]; o != nil && o.Equal(key) {
			return true
		}
	}
	return false
}

// shownKeys is how many ids String shows.
const shownKeys = 4

// String returns the ids of the keys, at most shownKeys of them.
func (s KeySet) String() string {
	ids := slices.Sorted(maps.Keys(s.keys))
	if len(ids) > shownKeys {
		ids = append(ids[:shownKeys], "…")
	}
	return strings.Join(ids, ", ")
}

// parseKeySet reads a JWK set (RFC 7517). It skips keys of other types and uses, and
// refuses the whole set if a signing key is weak, private or ambiguous: such a server
// is not a correct GitLab.
func parseKeySet(b []byte) (KeySet, error) {
	if len(b) > jwks.MaxSet {
		return KeySet{}, fmt.Errorf("the key set has more than %d bytes", jwks.MaxSet)
	}
	object, err := strictjson.Object(b)
	if err != nil {
		return KeySet{}, fmt.Errorf("the key set is not one JSON object with distinct keys")
	}
	entries, ok := object["keys"].([]any)
	if !ok && object["keys"] != nil {
		return KeySet{}, fmt.Errorf("the key set has no list of keys")
	}
	if len(entries) > maxKeys {
		return KeySet{}, fmt.Errorf("the key set has more than %d keys", maxKeys)
	}
	return collect(entries)
}

func collect(entries []any) (KeySet, error) {
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

// parseKey returns no key for an entry that cannot sign an id_token: one of another
// type or use, or without a valid id.
func parseKey(entry any) (kid string, key *rsa.PublicKey, err error) {
	members, ok := entry.(map[string]any)
	if !ok || !areTexts(members, "kty", "use", "alg", "kid") {
		return "", nil, fmt.Errorf("is not a JWK")
	}
	kid, _ = members["kid"].(string)
	if members["kty"] != "RSA" || !absentOr(members["use"], "sig") || !absentOr(members["alg"], algorithm) || !isKeyID(kid) {
		return "", nil, nil
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		if _, there := members[private]; there {
			return "", nil, fmt.Errorf("is a private key")
		}
	}
	key, err = publicKey(members)
	return kid, key, err
}

// areTexts reports whether each member that is present is a string.
func areTexts(members map[string]any, names ...string) bool {
	for _, name := range names {
		if value := members[name]; value != nil {
			if _, text := value.(string); !text {
				return false
			}
		}
	}
	return true
}

func absentOr(value any, want string) bool { return value == nil || value == "" || value == want }

// publicKey reads modulus and exponent (RFC 7518 section 6.3.1).
func publicKey(members map[string]any) (*rsa.PublicKey, error) {
	n, ok1 := bigUint(members["n"])
	e, ok2 := bigUint(members["e"])
	switch {
	case !ok1 || !ok2:
		return nil, fmt.Errorf("is not an RSA key: its modulus or exponent is missing or not strict base64url")
	case n.BitLen() > maxModulus:
		return nil, fmt.Errorf("is not an RSA key of at most %d bits", maxModulus)
	case n.BitLen() < minModulus:
		return nil, fmt.Errorf("has %d bits, fewer than %d", n.BitLen(), minModulus)
	case n.Bit(0) == 0:
		return nil, fmt.Errorf("is not an RSA key: its modulus is even")
	case !e.IsInt64() || e.Int64() < minExponent || e.Int64() > maxExponent || e.Bit(0) == 0:
		return nil, fmt.Errorf("has the public exponent %s", e)
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

// bigUint reads a Base64urlUInt: big-endian without leading zeros (RFC 7518 section
// 2).
func bigUint(member any) (*big.Int, bool) {
	text, _ := member.(string)
	b, ok := decodePart(text)
	if !ok || len(b) == 0 || b[0] == 0 {
		return nil, false
	}
	return new(big.Int).SetBytes(b), true
}
