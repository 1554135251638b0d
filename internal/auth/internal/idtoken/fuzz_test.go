package idtoken

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"jacamar-ci/internal/job"
)

// fuzzKey is the same in every process, because the processes of one fuzzing run
// hand each other tokens. It protects nothing.
func fuzzKey(f *testing.F) *rsa.PrivateKey {
	f.Helper()
	b, err := os.ReadFile("testdata/fuzz-key.pem")
	if err != nil {
		f.Fatal(err)
	}
	block, _ := pem.Decode(b)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		f.Fatal(err)
	}
	return key.(*rsa.PrivateKey)
}

// FuzzToken: no input makes the verification panic, and only the very bytes
// that the server signed are accepted.
func FuzzToken(f *testing.F) {
	key := fuzzKey(f)
	keys := KeySet{map[string]*rsa.PublicKey{ciID: &key.PublicKey}}
	sound := signBytes(f, marshal(f, soundHeader()), marshal(f, soundClaims()), key)
	parts := strings.Split(sound, ".")
	f.Add(sound)
	f.Add(sound + "\n")
	f.Add(parts[0] + "." + parts[1] + ".")
	f.Add(b64([]byte(`{"alg":"none","kid":"`+ciID+`"}`)) + "." + parts[1] + ".")
	f.Add(b64([]byte(`{"alg":"RS256","kid":"`+ciID+`","b64":false,"crit":["b64"]}`)) + "." + parts[1] + "." + parts[2])
	f.Fuzz(func(t *testing.T, token string) {
		tok, err := Parse(job.NewSecret(token))
		if err == nil {
			_, err = tok.Verify(keys, soundRules(), soundExpected(), issued)
		}
		switch {
		case token == sound && err != nil:
			t.Errorf("the sound token is refused: %v", err)
		case token != sound && err == nil:
			t.Errorf("%q is accepted", token)
		case err != nil && !isDenied(err):
			t.Errorf("%v is not a denial", err)
		}
	})
}

// FuzzClaims gives hostile bytes to the readers behind the signature. What is
// accepted has the expected ids.
func FuzzClaims(f *testing.F) {
	for _, claims := range []fields{soundClaims(), oldGitLab(soundClaims()), fork()} {
		f.Add(marshal(f, claims))
	}
	f.Add([]byte(`{"iss":"a","iss":"b"}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		expected := soundExpected()
		id, err := checkPayload(payload, soundRules(), expected, issued)
		if err != nil {
			if !isDenied(err) || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q is not one line of denial", err)
			}
			return
		}
		if id.JobID != expected.JobID || id.Project.ID != expected.ProjectID || id.Fork() || id.User.ID != expected.UserID {
			t.Errorf("accepted %+v", id)
		}
		if id.User.Login == "" || job.Printable(id.User.Login) != id.User.Login {
			t.Errorf("accepted the login %q", id.User.Login)
		}
	})
}

// FuzzKeySet: what is read is at least as strong as promised.
func FuzzKeySet(f *testing.F) {
	key := fuzzKey(f)
	sound := jwk(ciID, &key.PublicKey)
	f.Add(marshal(f, set(sound)))
	f.Add(marshal(f, set(sound.with("e", "AQ"))))
	f.Add(marshal(f, set(sound, sound)))
	f.Add([]byte(`{"keys":[{"kty":"EC"},{"kty":"RSA","x5c":["AA"]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseKeySet(b)
		if (err == nil) != (s.Len() > 0) {
			t.Errorf("%d keys and the error %v", s.Len(), err)
		}
		for kid, key := range s.keys {
			if !isKeyID(kid) || key.N.BitLen() < 2048 || key.E < 65537 {
				t.Errorf("key %q of %d bits, e=%d", kid, key.N.BitLen(), key.E)
			}
		}
	})
}

// FuzzCached: nothing that stands in the state directory makes a process fail.
func FuzzCached(f *testing.F) {
	key := fuzzKey(f)
	raw := marshal(f, set(jwk(ciID, &key.PublicKey)))
	b, err := cachedKeys{fetchedSet: fetchedSet{raw: raw, fetched: issued}, attempted: issued}.encode("https://x.example/keys")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeCached(b, "https://x.example/keys")
		if (err == nil) != (r.set.Len() > 0) {
			t.Errorf("%d keys and the error %v", r.set.Len(), err)
		}
	})
}
