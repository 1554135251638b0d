package idtoken

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"strings"

	"jacamar-ci/internal/job"
)

// algorithm is the one that GitLab signs id_tokens with: RSASSA-PKCS1-v1_5 with
// SHA-256 (RFC 7518 section 3.3). No other is ever accepted.
const algorithm = "RS256"

// maxToken is the longest token in bytes. GitLab's are below 4 KiB; a user in
// hundreds of groups may come near 12.
const maxToken = 16 << 10

// maxKeyID is the longest key id in bytes. GitLab's are RFC 7638 thumbprints of
// 43.
const maxKeyID = 128

// Token is an id_token of sound form. Nothing in it is believed yet.
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
		return nil, refuse(RuleSignature, "it does not hold under the server's key %q", t.kid)
	}
	return t.payload, nil
}

// Parse checks the form and the header of a token.
func Parse(raw job.Secret) (Token, error) {
	text := raw.Reveal()
	switch {
	case text == "":
		return Token{}, refuse(RuleAbsent, "there is none")
	case len(text) > maxToken:
		return Token{}, refuse(RuleSize, "it has %d bytes, more than %d", len(text), maxToken)
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
		return parts, refuse(RuleForm, "it has not three parts")
	}
	for i, text := range texts {
		var ok bool
		if parts[i], ok = decodePart(text); !ok {
			return parts, refuse(RuleForm, "its part %d is not strict base64url", i+1)
		}
	}
	return parts, nil
}

// foreign are the header parameters that would take the key from the token
// itself or change how its bytes are read (RFC 7515 section 4.1, RFC 7516, RFC
// 7797). None is ever in a token of GitLab.
var foreign = [...]string{"jku", "jwk", "x5u", "x5c", "crit", "enc", "zip", "b64", "cty"}

// parseHeader returns the key id.
func parseHeader(b []byte) (kid string, err error) {
	header, ok := decodeObject(b)
	if !ok {
		return "", refuse(RuleHeader, "it is not one JSON object with distinct keys")
	}
	for _, name := range foreign {
		if _, there := header[name]; there {
			return "", refuse(RuleHeader, "it has the parameter %q", name)
		}
	}
	if typ, there := header["typ"]; there && typ != "JWT" {
		return "", refuse(RuleHeader, "its type is not JWT")
	}
	if header["alg"] != algorithm {
		alg, _ := header["alg"].(string)
		return "", refuse(RuleAlgorithm, "it is signed with %q, not with %q", job.Clip(alg), algorithm)
	}
	kid, _ = header["kid"].(string)
	if !saneKeyID(kid) {
		return "", refuse(RuleKeyID, "it names no key, or in a form that key ids do not have")
	}
	return kid, nil
}

// saneKeyID reports whether a key id is short and of characters that base64url,
// hexadecimal and dotted names use; a slash, which a path has, is not one.
func saneKeyID(kid string) bool {
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
