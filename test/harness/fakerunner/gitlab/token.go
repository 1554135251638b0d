package gitlab

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/test/harness/fakerunner"
)

// User is the user who caused the job.
type User struct {
	ID    int64
	Login string
	Email string
	// AccessLevel is "developer" when empty.
	AccessLevel string
	// Identities are provider and extern_uid, for users who share them.
	Identities [][2]string
	Groups     []string
}

// RunnerID is the id under which tokens name the runner.
const RunnerID = 77

// Claims are the content of a token.
type Claims map[string]any

// With returns a copy with one claim set.
func (c Claims) With(name string, value any) Claims {
	out := maps.Clone(c)
	out[name] = value
	return out
}

// Without returns a copy that lacks some claims.
func (c Claims) Without(names ...string) Claims {
	out := maps.Clone(c)
	for _, name := range names {
		delete(out, name)
	}
	return out
}

// Claims are those that GitLab signs for a job of that user now: all ids are
// strings but runner_id, booleans are strings too, and it is valid for the
// job's timeout.
func (s *Server) Claims(job fakerunner.Job, user User) Claims {
	now := time.Now()
	life := job.Timeout
	if life == 0 {
		life = 5 * time.Minute
	}
	namespace, _, _ := cutLast(job.Project.FullPath, "/")
	refPath := "refs/heads/" + job.Git.Ref
	c := Claims{
		"iss": s.URL, "aud": s.URL, "jti": newUUID(),
		"sub": fmt.Sprintf("project_path:%s:ref_type:branch:ref:%s", job.Project.FullPath, job.Git.Ref),
		"iat": now.Unix(), "nbf": now.Unix() - 5, "exp": now.Add(life).Unix(),
		"project_id": text(job.Project.ID), "project_path": job.Project.FullPath,
		"namespace_id": text(job.Project.NamespaceID), "namespace_path": namespace,
		"job_project_id": text(job.Project.ID), "job_project_path": job.Project.FullPath,
		"job_namespace_id": text(job.Project.NamespaceID), "job_namespace_path": namespace,
		"user_id": text(user.ID), "user_login": user.Login, "user_email": user.Email,
		"user_access_level": "developer", "pipeline_id": text(job.PipelineID), "pipeline_source": "push",
		"job_id": text(job.ID), "ref": job.Git.Ref, "ref_type": "branch", "ref_path": refPath,
		"ref_protected": strconv.FormatBool(job.Git.Protected),
		"runner_id":     RunnerID, "runner_environment": "self-hosted", "sha": job.Git.SHA,
		"ci_config_ref_uri":  fmt.Sprintf("127.0.0.1/%s//.gitlab-ci.yml@%s", job.Project.FullPath, refPath),
		"ci_config_sha":      job.Git.SHA,
		"project_visibility": "private",
	}
	c.addUser(user)
	return c
}

func (c Claims) addUser(user User) {
	if user.AccessLevel != "" {
		c["user_access_level"] = user.AccessLevel
	}
	if len(user.Identities) > 0 {
		var list []map[string]string
		for _, i := range user.Identities {
			list = append(list, map[string]string{"provider": i[0], "extern_uid": i[1]})
		}
		c["user_identities"] = list
	}
	if len(user.Groups) > 0 {
		c["groups_direct"] = user.Groups
	}
}

// LoginClaims are those of an OpenID Connect login at the same instance: the
// same issuer and key set, but without a job.
func (s *Server) LoginClaims(user User) Claims {
	now := time.Now().Unix()
	return Claims{
		"iss": s.URL, "aud": s.URL, "sub": text(user.ID), "iat": now, "nbf": now - 5, "exp": now + 120,
		"auth_time": now, "sub_legacy": "x", "name": user.Login, "nickname": user.Login,
		"preferred_username": user.Login, "email": user.Email, "user_login": user.Login,
	}
}

// Token signs claims as GitLab does.
func (s *Server) Token(c Claims) string { return Sign(s.CI.Header(), c, RS256(s.CI)) }

// Header is what GitLab puts before claims it signs with the key.
func (k *Key) Header() map[string]any {
	return map[string]any{"alg": "RS256", "kid": k.ID, "typ": "JWT"}
}

// Signer makes a signature of the token's first two parts.
type Signer func(input []byte) []byte

// Sign builds a token; header and claims are any JSON value, or
// json.RawMessage for text that no encoder would write.
func Sign(header, claims any, sign Signer) string {
	input := encode(header) + "." + encode(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

func encode(v any) string {
	raw, ok := v.(json.RawMessage)
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			panic(err) // the values come from tests
		}
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// RS256 signs with an RSA key.
func RS256(k *Key) Signer {
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		sig, err := rsa.SignPKCS1v15(rand.Reader, k.Private, crypto.SHA256, sum[:])
		if err != nil {
			panic(err) // only a key too short for the sum fails
		}
		return sig
	}
}

// HS256 signs with a shared secret.
func HS256(secret []byte) Signer {
	return func(input []byte) []byte {
		mac := hmac.New(sha256.New, secret)
		mac.Write(input)
		return mac.Sum(nil)
	}
}

// ES256 signs with a P-256 key.
func ES256(key *ecdsa.PrivateKey) Signer {
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			panic(err) // the system has no randomness
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return out
	}
}

// Unsigned leaves the signature out.
func Unsigned([]byte) []byte { return nil }

func text(id int64) string { return strconv.FormatInt(id, 10) }

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
