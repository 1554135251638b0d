package idtoken

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/job"
)

// The keys are made once: a real 2048-bit key takes a tenth of a second. ciKey
// signs jobs; loginKey stands in the same set, as at GitLab.
var (
	ciKey    = sync.OnceValue(func() *rsa.PrivateKey { return generate(2048) })
	loginKey = sync.OnceValue(func() *rsa.PrivateKey { return generate(2048) })
	otherKey = sync.OnceValue(func() *rsa.PrivateKey { return generate(2048) })
)

const (
	ciID         = "kewiQq9jiC84CvSsJYOB-N6A8WFLSV20Mb-y7IlWDSQ"
	loginID      = "4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4ZqE"
	siteIssuer   = "https://gitlab.site.example"
	siteAudience = "https://ci.site.example"
)

var issued = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func generate(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// fields is a JSON object under construction.
type fields map[string]any

// with returns a copy with one field set; absent removes it.
func (f fields) with(name string, value any) fields {
	f = maps.Clone(f)
	if value == absent {
		delete(f, name)
		return f
	}
	f[name] = value
	return f
}

// absent is the value that removes a field.
const absent = "\x00absent"

func soundHeader() fields {
	return fields{"alg": "RS256", "typ": "JWT", "kid": ciID}
}

// soundClaims are what GitLab 18.4 sends for job 1001 of project 20.
func soundClaims() fields {
	return fields{
		"iss": siteIssuer, "aud": siteAudience, "sub": "project_path:hpc/solver:ref_type:branch:ref:main",
		"iat": issued.Unix(), "nbf": issued.Unix() - 5, "exp": issued.Unix() + 3600,
		"jti":        "6f9e3c1e-5a04-4c39-9c8e-0f2f5d3a7b11",
		"project_id": "20", "project_path": "hpc/solver", "namespace_id": "7", "namespace_path": "hpc",
		"job_project_id": "20", "job_project_path": "hpc/solver", "job_namespace_id": "7", "job_namespace_path": "hpc",
		"user_id": "42", "user_login": "alice", "user_email": "alice@site.example", "user_access_level": "developer",
		"user_identities": []fields{{"provider": "ldapmain", "extern_uid": "uid=alice,dc=site"}},
		"groups_direct":   []string{"hpc", "hpc/solvers"},
		"pipeline_id":     "501", "pipeline_source": "push", "job_id": "1001",
		"ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
		"runner_id": 3, "runner_environment": "self-hosted", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
		"environment": "production", "project_visibility": "private",
	}
}

// fork are the claims of the same job in a merge request pipeline of a fork.
func fork() fields {
	return soundClaims().with("project_id", "21").with("project_path", "mallory/solver").
		with("namespace_id", "8").with("namespace_path", "mallory")
}

// oldGitLab leaves out what GitLab sends since 18.3 only.
func oldGitLab(f fields) fields {
	return f.with("job_project_id", absent).with("job_project_path", absent).
		with("job_namespace_id", absent).with("job_namespace_path", absent)
}

func soundRules() Rules { return Rules{Issuer: siteIssuer, Audience: siteAudience} }

func soundExpected() claims.Expected {
	return claims.Expected{JobID: 1001, ProjectID: 20, PipelineID: 501, UserID: 42}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// signBytes makes a token of any header and payload, sound or not.
func signBytes(t testing.TB, header, payload []byte, key *rsa.PrivateKey) string {
	t.Helper()
	input := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

func sign(t testing.TB, header, payload fields) string {
	t.Helper()
	return signBytes(t, marshal(t, header), marshal(t, payload), ciKey())
}

func soundToken(t testing.TB) string { return sign(t, soundHeader(), soundClaims()) }

func jwk(kid string, key *rsa.PublicKey) fields {
	return fields{
		"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
		"n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes()),
	}
}

// soundSet is the key set as GitLab sends it: the login key and the CI key.
func soundSet(t testing.TB) []byte {
	return marshal(t, fields{"keys": []fields{jwk(loginID, &loginKey().PublicKey), jwk(ciID, &ciKey().PublicKey)}})
}

func soundKeys(t testing.TB) KeySet {
	t.Helper()
	set, err := parseKeySet(soundSet(t))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// verify is the whole way of a token whose keys are known.
func verify(t testing.TB, token string, rules Rules, expected claims.Expected, now time.Time) (claims.Identity, error) {
	t.Helper()
	tok, err := Parse(job.NewSecret(token))
	if err != nil {
		return claims.Identity{}, err
	}
	return tok.Verify(soundKeys(t), rules, expected, now)
}

// wantRefusal fails the test unless err is a denial by the rule that shows no
// part of the token.
func wantRefusal(t testing.TB, err error, rule Rule, token string) {
	t.Helper()
	got, ok := RuleOf(err)
	if !ok {
		t.Fatalf("error %v, want a refusal by %q", err, rule)
	}
	if got != rule {
		t.Errorf("refused by %q (%v), want %q", got, err, rule)
	}
	if !isDenied(err) {
		t.Errorf("%v is not a denial", err)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part[:8]) {
			t.Errorf("the error shows the token: %v", err)
		}
	}
}
