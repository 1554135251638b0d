package idtoken

import (
	"bytes"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"

	"jacamar-ci/internal/job"
)

// byOracle verifies a token with go-jose, which this package was first built on.
func byOracle(token string, key *rsa.PublicKey) ([]byte, bool) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return nil, false
	}
	payload, err := jws.Verify(key)
	return payload, err == nil
}

// accepted returns the payload of a token that this package accepts.
func accepted(token string, key *rsa.PublicKey) ([]byte, bool) {
	t, err := Parse(job.NewSecret(token))
	if err != nil {
		return nil, false
	}
	payload, err := t.verify(key)
	return payload, err == nil
}

// What is accepted here go-jose accepts too, with the same payload. The other way
// round, only what this package refuses on purpose differs: a foreign parameter of
// the header, a key id of odd form, a text with a second spelling.
func differ(t *testing.T, token string, key *rsa.PublicKey) {
	t.Helper()
	ours, ok := accepted(token, key)
	theirs, oracle := byOracle(token, key)
	if ok && (!oracle || !bytes.Equal(ours, theirs)) {
		t.Errorf("%q is accepted, but not by the oracle", token)
	}
}

func TestAgreesWithOracle(t *testing.T) {
	key := &ciKey().PublicKey
	sound := soundToken(t)
	if _, ok := accepted(sound, key); !ok {
		t.Fatal("a sound token is refused")
	}
	if _, ok := byOracle(sound, key); !ok {
		t.Fatal("the oracle refuses a sound token")
	}
	for i := range len(sound) {
		for _, c := range []byte{'A', '_', '.', '=', sound[i] ^ 1} {
			differ(t, sound[:i]+string(c)+sound[i+1:], key)
		}
	}
	parts := strings.Split(sound, ".")
	for _, token := range []string{
		parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-4], parts[0] + "." + parts[1] + ".AAAA" + parts[2],
		parts[0] + "." + parts[1] + "." + b64(make([]byte, 256)), parts[0] + ".." + parts[2],
	} {
		differ(t, token, key)
		if _, ok := accepted(token, key); ok {
			t.Errorf("%q is accepted", token)
		}
	}
}

func FuzzTokenOracle(f *testing.F) {
	key := fuzzKey(f)
	sound := signBytes(f, marshal(f, soundHeader()), marshal(f, soundClaims()), key)
	f.Add(sound)
	f.Add(signBytes(f, []byte(`{"alg":"RS256","kid":"a","typ":"JWT"}`), []byte("not JSON"), key))
	f.Add(signBytes(f, []byte(`{"alg":"RS256","alg":"none","kid":"a"}`), []byte("{}"), key))
	f.Fuzz(func(t *testing.T, token string) { differ(t, token, &key.PublicKey) })
}

// FuzzKeySetOracle: a key that is taken here is the same key for go-jose.
func FuzzKeySetOracle(f *testing.F) {
	key := fuzzKey(f)
	sound := jwk(ciID, &key.PublicKey)
	f.Add(marshal(f, set(sound)))
	f.Add(marshal(f, set(sound.with("x5c", []string{"AA"}))))
	f.Add(marshal(f, set(sound.with("n", "AAAA"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseKeySet(b)
		if err != nil {
			return
		}
		var raw struct {
			Keys []josejson.RawMessage `json:"keys"`
		}
		if err := josejson.Unmarshal(b, &raw); err != nil {
			t.Fatalf("%q: the oracle reads no set: %v", b, err)
		}
		for _, entry := range raw.Keys {
			var theirs jose.JSONWebKey
			if josejson.Unmarshal(entry, &theirs) != nil {
				continue // a type that it does not have, or a certificate that does not fit
			}
			public, isRSA := theirs.Key.(*rsa.PublicKey)
			if ours := s.keys[theirs.KeyID]; ours != nil && isRSA && (theirs.Use == "sig" || theirs.Use == "") && !ours.Equal(public) {
				t.Errorf("the key %q is another one", theirs.KeyID)
			}
		}
	})
}
