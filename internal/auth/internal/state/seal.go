package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"jacamar-ci/internal/job"
)

// Sealed is the text of a state:
//
//	version SP seal SP configuration SP body
//
// The seal is a MAC over the version and everything behind the seal, in lower-case
// hexadecimal (HMAC-SHA-256, RFC 2104); the configuration's path is escaped as in
// a URL, so that it has no space; the body is JSON. A text has one meaning, and no
// other text has the same: what the seal does not cover is the seal.
type Sealed struct {
	seal          string
	covered       string // configuration SP body
	configuration job.AbsPath
	body          []byte
}

// version changes with the meaning of the text.
const version = "2"

func sealed(key Key, configuration job.AbsPath, body []byte) string {
	covered := url.PathEscape(configuration.String()) + " " + string(body)
	return version + " " + key.mac(covered) + " " + covered
}

// Parse takes a text apart and believes none of it. Its error is a failure.Denied
// that the job's user may read.
func Parse(text string) (Sealed, error) {
	v, rest, _ := strings.Cut(text, " ")
	if v != version {
		return Sealed{}, refuse("the job began under another version of Jacamar, which must not be updated during a job")
	}
	seal, covered, _ := strings.Cut(rest, " ")
	path, body, _ := strings.Cut(covered, " ")
	plain, _ := url.PathUnescape(path) // a wrong escape yields "", which is no absolute path
	configuration, err := job.ParseAbsPath(plain)
	if err != nil {
		return Sealed{}, refuse("the job's state was changed")
	}
	return Sealed{seal: seal, covered: covered, configuration: configuration, body: []byte(body)}, nil
}

// Configuration is the configuration that the job's config stage was given, before
// the seal is verified: whose file it is decides whether it can be used.
func (s Sealed) Configuration() job.AbsPath { return s.configuration }

// verify compares the texts, in constant time, so that no other spelling of the
// seal is one.
func (s Sealed) verify(key Key) bool {
	return hmac.Equal([]byte(s.seal), []byte(key.mac(s.covered)))
}

// mac is the seal. The label keeps it apart from whatever else the key may ever be
// used for.
func (k Key) mac(covered string) string {
	const label = "jacamar job state\x00"
	h := hmac.New(sha256.New, k.secret[:])
	h.Write([]byte(label + version + "\x00" + covered))
	return hex.EncodeToString(h.Sum(nil))
}
