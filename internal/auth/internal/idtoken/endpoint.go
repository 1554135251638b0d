package idtoken

import (
	"net/netip"
	"net/url"

	"jacamar-ci/internal/failure"
)

// discovery is where GitLab publishes its keys, below its own address. Source:
// https://docs.gitlab.com/ci/secrets/id_token_authentication/
const discovery = "oauth/discovery/keys"

// endpoint returns the address of the key set: jwks when the site names one,
// else GitLab's own.
func endpoint(gitlab, jwks *url.URL) (*url.URL, error) {
	u := jwks
	if u == nil {
		if gitlab == nil {
			return nil, failure.Configf("cannot verify a token: neither gitlab_server nor jwks_url is configured")
		}
		u = gitlab.JoinPath(discovery)
	}
	switch {
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, failure.Configf("cannot fetch keys from %q: it is not the plain address of a server", u.Redacted())
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, failure.Configf("cannot fetch keys from %q: use https; http is for a loopback address alone", u.Redacted())
	}
	return u, nil
}

// loopback takes an address only: what a name leads to is for others to say.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
