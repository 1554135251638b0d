package idtoken

import (
	"strings"

	"github.com/go-jose/go-jose/v4"

	"jacamar-ci/internal/job"
)

// maxToken is the longest token in bytes. GitLab's are below 4 KiB; a user in
// hundreds of groups may come near 12.
const maxToken = 16 << 10

// maxKeyID is the longest key id in bytes. GitLab's are RFC 7638 thumbprints of
// 43.
const maxKeyID = 128

// Token is an id_token of sound form. Nothing in it is believed yet.
type Token struct {
	jws *jose.JSONWebSignature
	kid string
}

// KeyID returns the id of the key that the token claims to be signed with.
func (t Token) KeyID() string { return t.kid }

// Parse checks the form and the header of a token.
func Parse(raw job.Secret) (Token, error) {
	text := raw.Reveal()
	switch {
	case text == "":
		return Token{}, refuse(RuleAbsent, "there is none")
	case len(text) > maxToken:
		return Token{}, refuse(RuleSize, "it has %d bytes, more than %d", len(text), maxToken)
	}
	header, err := parseForm(text)
	if err != nil {
		return Token{}, err
	}
	kid, err := parseHeader(header)
	if err != nil {
		return Token{}, err
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return Token{}, refuse(RuleForm, "it is not a JWS in compact form")
	}
	return Token{jws, kid}, nil
}

// parseForm returns the decoded header.
func parseForm(text string) ([]byte, error) {
	parts := strings.SplitN(text, ".", 4)
	if len(parts) != 3 {
		return nil, refuse(RuleForm, "it has not three parts")
	}
	var header []byte
	for i, part := range parts {
		b, ok := decodePart(part)
		if !ok {
			return nil, refuse(RuleForm, "its part %d is not strict base64url", i+1)
		}
		if i == 0 {
			header = b
		}
	}
	return header, nil
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
	if header["alg"] != string(jose.RS256) {
		alg, _ := header["alg"].(string)
		return "", refuse(RuleAlgorithm, "it is signed with %q, not with %q", job.Clip(alg), jose.RS256)
	}
	kid, _ = header["kid"].(string)
	if !saneKeyID(kid) {
		return "", refuse(RuleKeyID, "it names no key, or in a form that key ids do not have")
	}
	return kid, nil
}

// saneKeyID tells whether a key id is short and of characters that base64url,
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
