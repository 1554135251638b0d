package idtoken

import (
	"net/url"
	"os"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jwks"
)

// endpoint returns the address of the key set, and refuses one whose answers need
// not be the server's.
func endpoint(s KeySettings) (*url.URL, error) {
	u := jwks.KeySetURL(s.GitLab, s.JWKS)
	switch {
	case u == nil:
		return nil, failure.Configf("cannot verify a token: neither gitlab_server nor jwks_url is configured")
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, failure.Configf("cannot fetch keys from %q: it is not the plain address of a server", u.Redacted())
	}
	if err := jwks.CheckURL(u, reservedPorts(unprivilegedPorts), s.AnyLoopbackPort); err != nil {
		return nil, failure.Configf("cannot fetch keys from %q: %w", u.Redacted(), err)
	}
	return u, nil
}

// unprivilegedPorts has the first port on which anybody may listen (ip(7)).
const unprivilegedPorts = "/proc/sys/net/ipv4/ip_unprivileged_port_start"

// reservedPorts returns the end of the ports that are root's: fewer than usual where
// this machine says so, as in containers.
func reservedPorts(file string) int {
	text, err := os.ReadFile(file)
	if err != nil {
		return jwks.ReservedPorts // a kernel before 4.11
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil {
		return 0
	}
	return min(int(n), jwks.ReservedPorts)
}
