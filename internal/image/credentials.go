package image

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"jacamar-ci/internal/job"
)

// Credential is a login for a registry, or for a part of it.
type Credential struct {
	// Scope is the registry with its port, and optionally the beginning of a
	// repository's path, as keys of `auths` in containers-auth.json(5).
	Scope    string
	User     string
	Password job.Secret
}

// LoginSource contains the logins from one source. Source is its name in the job's log.
type LoginSource struct {
	Source      string
	Credentials []Credential
}

// MaxAuths bounds the text of a docker configuration, in bytes.
const MaxAuths = 64 << 10

// ParseAuths parses the `auths` of a docker configuration, such as the variable
// DOCKER_AUTH_CONFIG. ignored lists keys that are not used because they name a program to
// run.
func ParseAuths(text string) (list []Credential, ignored []string, err error) {
	if len(text) > MaxAuths {
		return nil, nil, fmt.Errorf("it is longer than %d bytes", MaxAuths)
	}
	var file struct {
		Auths map[string]struct {
			Auth     string `json:"auth"`
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"auths"`
		CredsStore  json.RawMessage `json:"credsStore"`
		CredHelpers json.RawMessage `json:"credHelpers"`
	}
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		// The decoder's error may contain a password.
		return nil, nil, errors.New("it is not JSON of the form {\"auths\": {\"REGISTRY\": {\"auth\": \"…\"}}}")
	}
	for _, scope := range slices.Sorted(maps.Keys(file.Auths)) {
		entry := file.Auths[scope]
		c := Credential{Scope: normalScope(scope), User: entry.Username, Password: job.NewSecret(entry.Password)}
		if entry.Auth != "" {
			if c.User, c.Password, err = decodeAuth(entry.Auth); err != nil {
				return nil, nil, fmt.Errorf("the entry %q: %w", job.Clip(scope), err)
			}
		}
		if c.User != "" {
			list = append(list, c)
		}
	}
	if len(file.CredHelpers) > 0 {
		ignored = append(ignored, "credHelpers")
	}
	if len(file.CredsStore) > 0 {
		ignored = append(ignored, "credsStore")
	}
	return list, ignored, nil
}

func decodeAuth(auth string) (user string, password job.Secret, err error) {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(auth))
	if err != nil {
		return "", job.Secret{}, errors.New("auth is not base64")
	}
	user, secret, found := strings.Cut(strings.TrimRight(string(text), "\x00"), ":")
	if !found || user == "" {
		return "", job.Secret{}, errors.New("auth is not user:password in base64")
	}
	return user, job.NewSecret(secret), nil
}

// normalScope removes the scheme and the API version that docker writes into the keys of
// its file, and replaces the other name of Docker Hub.
func normalScope(scope string) string {
	for _, scheme := range []string{"https://", "http://"} {
		scope = strings.TrimPrefix(scope, scheme)
	}
	scope = strings.TrimSuffix(scope, "/")
	for _, version := range []string{"/v1", "/v2"} {
		scope = strings.TrimSuffix(scope, version)
	}
	host, path, found := strings.Cut(scope, "/")
	if host == legacyDomain {
		host = defaultDomain
	}
	if found {
		return host + "/" + path
	}
	return host
}

// NewCredential returns a login for a registry at an address such as those of
// GitLab's credentials[].
func NewCredential(address, user string, password job.Secret) Credential {
	return Credential{Scope: normalScope(address), User: user, Password: password}
}

// covers reports whether the login applies to the image. Complete components of the path
// are compared, so that host/a does not apply to host/ab.
func (c Credential) covers(r Reference) bool {
	return r.Name() == c.Scope || strings.HasPrefix(r.Name(), c.Scope+"/")
}

// Select returns the login for an image: the one with the longest scope that covers it,
// and of several with that scope the first.
func Select(r Reference, logins []LoginSource) (c Credential, source string, found bool) {
	for _, l := range logins {
		for _, candidate := range l.Credentials {
			if candidate.covers(r) && (!found || len(candidate.Scope) > len(c.Scope)) {
				c, source, found = candidate, l.Source, true
			}
		}
	}
	return c, source, found
}

// AuthFile returns the text of a containers-auth.json(5) with only this login. It contains
// the password in clear text.
func (c Credential) AuthFile() []byte {
	auth := base64.StdEncoding.EncodeToString([]byte(c.User + ":" + c.Password.Reveal()))
	text, _ := json.Marshal(map[string]map[string]map[string]string{"auths": {c.Scope: {"auth": auth}}})
	return text
}
