// Package idtoken verifies GitLab's id_tokens and binds them to one job.
//
// A token is verified in this order: its form (Parse), its signature with a key
// that the configured server published (Keys), and then each claim against the
// site's rules and the job that the runner got from GitLab (Verify). No claim is
// read before the signature is verified. Every refusal is a failure.Denied that
// names its Rule; none contains the token.
//
// The facts about GitLab's tokens are from
// https://docs.gitlab.com/ci/secrets/id_token_authentication/ and GitLab's
// lib/gitlab/ci/jwt_v2.rb; the format is RFC 7515, 7517, 7519 and 8725.
package idtoken

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/strictjson"
)

// algorithm is that of GitLab's id_tokens: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518
// section 3.3). No other is accepted.
const algorithm = "RS256"

// maxToken is the longest token in bytes. GitLab's are below 4 KiB, or near 12 KiB
// for a user in hundreds of groups.
const maxToken = 16 << 10

// maxKeyID is the longest key id in bytes. GitLab's are RFC 7638 thumbprints of 43
// bytes.
const maxKeyID = 128

// Token is a well-formed id_token. Its contents are not trusted yet.
type Token struct {
	kid       string
	signed    string // header and payload as they were signed (RFC 7515 section 5.2)
	payload   []byte
	signature []byte
}

// KeyID returns the id of the key that the token claims to be signed with.
func (t Token) KeyID() string { return t.kid }

// verify returns the payload if the key signed it.
func (t Token) verify(key *rsa.PublicKey) ([]byte, error) {
	sum := sha256.Sum256([]byte(t.signed))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], t.signature); err != nil {
		return nil, refuse(RuleSignature, "signature does not match the server's key %q", t.kid)
	}
	return t.payload, nil
}

// Parse checks the form and the header of a token.
func Parse(raw job.Secret) (Token, error) {
	text := raw.Reveal()
	switch {
	case text == "":
		return Token{}, refuse(RuleAbsent, "the job has no id_token")
	case len(text) > maxToken:
		return Token{}, refuse(RuleSize, "%d bytes, more than %d", len(text), maxToken)
	}
	parts, err := parseForm(text)
	if err != nil {
		return Token{}, err
	}
	kid, err := parseHeader(parts[0])
	if err != nil {
		return Token{}, err
	}
	return Token{kid: kid, signed: text[:strings.LastIndexByte(text, '.')], payload: parts[1], signature: parts[2]}, nil
}

// parseForm returns the decoded parts: header, payload and signature.
func parseForm(text string) (parts [3][]byte, err error) {
	texts := strings.SplitN(text, ".", len(parts)+1)
	if len(texts) != len(parts) {
		return parts, refuse(RuleForm, "not three parts")
	}
	for i, text := range texts {
		var ok bool
		if parts[i], ok = decodePart(text); !ok {
			return parts, refuse(RuleForm, "part %d is not strict base64url", i+1)
		}
	}
	return parts, nil
}

// forbiddenParameters are the header parameters that would supply the key in the token
// itself or change how its bytes are read (RFC 7515 section 4.1, RFC 7516, RFC 7797).
// GitLab's tokens have none of them.
var forbiddenParameters = [...]string{"jku", "jwk", "x5u", "x5c", "crit", "enc", "zip", "b64", "cty"}

// parseHeader returns the key id.
func parseHeader(b []byte) (kid string, err error) {
	header, err := strictjson.Object(b)
	if err != nil {
		return "", refuse(RuleHeader, "not one JSON object with distinct keys")
	}
	for _, name := range forbiddenParameters {
		if _, there := header[name]; there {
			return "", refuse(RuleHeader, "the parameter %q is not accepted", name)
		}
	}
	if typ, there := header["typ"]; there && typ != "JWT" {
		return "", refuse(RuleHeader, "the type is not JWT")
	}
	if header["alg"] != algorithm {
		alg, _ := header["alg"].(string)
		return "", refuse(RuleAlgorithm, "signed with %q, want %q", job.Clip(alg), algorithm)
	}
	kid, _ = header["kid"].(string)
	if !isKeyID(kid) {
		return "", refuse(RuleKeyID, "the key id is missing or malformed")
	}
	return kid, nil
}

// isKeyID reports whether a key id is short and only has the characters of base64url,
// hexadecimal and dotted names; a slash, as in a path, is not one of them.
func isKeyID(kid string) bool {
	const extra = "-_.:=+"
	for _, c := range []byte(kid) {
		letter := (c|0x20) >= 'a' && (c|0x20) <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && strings.IndexByte(extra, c) < 0 {
			return false
		}
	}
	return kid != "" && len(kid) <= maxKeyID
}

// decodePart reads one part of a compact JWS: base64url without padding (RFC 7515
// section 2). Go's decoder ignores line ends and unused bits, so a part is accepted
// only if it encodes to itself: a token has exactly one text.
func decodePart(s string) (b []byte, ok bool) {
	b, _ = base64.RawURLEncoding.DecodeString(s)
	return b, base64.RawURLEncoding.EncodeToString(b) == s
}
