package trial

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// issuer is the private issuer of trials. No server has this name (RFC 6761, section
// 6.4), so that no other token can be from it.
const issuer = "https://selftest.invalid"

// The project of a trial. Its path names the job's directories.
const (
	projectPath = "jacamar/selftest"
	projectID   = 1
)

// User is the GitLab user that the job's token is about.
type User struct {
	ID    job.ID
	Login string
	// Provider and ExternUID are an identity elsewhere, "" for none.
	Provider, ExternUID string
}

// Minted is a token and the key set by which it is verified.
type Minted struct {
	JobID  job.ID
	runner string
	user   User
	token  job.Secret
	// KeySet is the issuer's, as a server publishes it (RFC 7517).
	KeySet []byte
}

// keyBits is the length of the issuer's key, as GitLab's.
const keyBits = 2048

// Mint makes a key and a token of it, which is valid for life.
func Mint(u User, now time.Time, life time.Duration) (Minted, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return Minted{}, fmt.Errorf("cannot make a key: %w", err)
	}
	m := Minted{JobID: job.ID(now.Unix()), runner: newRunner(), user: u}
	kid := rand.Text()
	if m.KeySet, err = keySet(key, kid); err != nil {
		return Minted{}, err
	}
	text, err := sign(key, kid, m.claims(now, life))
	m.token = job.NewSecret(text)
	return m, err
}

func keySet(key *rsa.PrivateKey, kid string) ([]byte, error) {
	return json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256",
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// sign makes a JWT (RFC 7519) with the algorithm RS256 (RFC 7518, section 3.3).
func sign(key *rsa.PrivateKey, kid string, claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "RS256", "kid": kid})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := encode(header) + "." + encode(payload)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("cannot sign a token: %w", err)
	}
	return signed + "." + encode(signature), nil
}

func (m Minted) claims(now time.Time, life time.Duration) map[string]any {
	c := Claims(m.user, projectPath, "main")
	c["iss"], c["aud"], c["jti"] = issuer, issuer, rand.Text()
	c["iat"], c["nbf"], c["exp"] = now.Unix(), now.Unix()-5, now.Add(life).Unix()
	c["job_id"] = m.JobID.String()
	return c
}

// Claims are those of a job of a user in a project, for a protected branch, without what
// identifies the token itself.
func Claims(u User, project, ref string) map[string]any {
	id, namespace := job.ID(projectID).String(), project
	if i := strings.LastIndexByte(project, '/'); i >= 0 {
		namespace = project[:i]
	}
	c := map[string]any{
		"user_id": u.ID.String(), "user_login": u.Login, "project_id": id, "project_path": project, "namespace_id": id, "namespace_path": namespace,
		"job_project_id": id, "job_project_path": project, "job_namespace_id": id, "job_namespace_path": namespace,
		"pipeline_id": id, "pipeline_source": "push", "job_id": id, "ref": ref, "ref_type": "branch", "ref_protected": "true",
	}
	if u.Provider != "" {
		c["user_identities"] = []any{map[string]any{"provider": u.Provider, "extern_uid": u.ExternUID}}
	}
	return c
}

// response is the job as the runner gets it from GitLab.
func (m Minted) response(variable string) []byte {
	b, _ := json.Marshal(map[string]any{ // no value of these types can fail
		"id":          m.JobID,
		"job_info":    map[string]any{"project_id": projectID, "pipeline_id": projectID, "user_id": m.user.ID, "project_full_path": projectPath},
		"git_info":    map[string]any{"repo_url": issuer + "/" + projectPath + ".git", "ref": "main"},
		"runner_info": map[string]any{"timeout": 3600},
		"variables":   []any{map[string]any{"key": variable, "value": m.token.Reveal(), "masked": true}},
	})
	return b
}
