package gitlab_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"jacamar-ci/test/harness/fakerunner/gitlab"
)

// TestForgeries checks that each forged token is a valid one of its own kind, so that a
// refusal is for the right reason.
func TestForgeries(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	claims := s.Claims(job, alice)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	header := func(alg string) map[string]any { return map[string]any{"alg": alg, "kid": s.CI.ID, "typ": "JWT"} }
	tests := []struct {
		name, token string
		alg         jose.SignatureAlgorithm
		key         any
	}{
		{"HS256 with the public key", gitlab.Sign(header("HS256"), claims, gitlab.HS256(s.CI.PublicPEM())), jose.HS256, s.CI.PublicPEM()},
		{"ES256", gitlab.Sign(header("ES256"), claims, gitlab.ES256(ec)), jose.ES256, &ec.PublicKey},
		{"another key under the CI key's id", gitlab.Sign(header("RS256"), claims, gitlab.RS256(s.Login)), jose.RS256, &s.Login.Private.PublicKey},
		{"a header that names its own keys", gitlab.Sign(map[string]any{"alg": "RS256", "kid": "x", "jku": "https://evil.test/"}, claims, gitlab.RS256(s.CI)), jose.RS256, &s.CI.Private.PublicKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, err := jose.ParseSignedCompact(tt.token, []jose.SignatureAlgorithm{tt.alg})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := token.Verify(tt.key); err != nil {
				t.Errorf("the signature is not even valid for the forger's key: %v", err)
			}
		})
	}
}

func TestUnsigned(t *testing.T) {
	token := gitlab.Sign(map[string]any{"alg": "none"}, json.RawMessage(`{"a":1,"a":2}`), gitlab.Unsigned)
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[2] != "" {
		t.Fatalf("%q, want three parts with the last one empty", token)
	}
	if got := decode(t, parts[0])["alg"]; got != "none" {
		t.Errorf("alg %v", got)
	}
	if !strings.HasPrefix(parts[1], "eyJhIjoxLCJhIjoyfQ") {
		t.Errorf("the raw payload was changed: %s", parts[1])
	}
}
