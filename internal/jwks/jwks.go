// Package jwks is the protocol between jacamar-keys, which fetches a server's key
// set, and jacamar-auth, which alone parses and trusts it.
package jwks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

const (
	// MaxSet is the longest key set in bytes. GitLab's has two keys in 1 KiB.
	MaxSet = 256 << 10
	// MaxResult is the longest encoded Result in bytes: base64 adds a third to a set.
	MaxResult = 2 * MaxSet
	// MaxBundle is the longest CA file in bytes; that of a distribution has 0.2 MiB.
	MaxBundle = 4 << 20

	// Timeout bounds the whole request.
	Timeout = 10 * time.Second
)

// Result is the server's response, or how far the request came.
type Result struct {
	// Connected reports whether a server accepted the connection.
	Connected bool `json:"connected"`
	// Secured reports whether its certificate was verified; false for http.
	Secured bool `json:"secured"`
	// Date is the server's clock; zero without a Date header.
	Date time.Time `json:"date,omitzero"`
	// Set is the response body. One that is too long is cut to MaxSet + 1 bytes.
	Set []byte `json:"set,omitempty"`
	// Problem is why there is no set, "" if there is one.
	Problem string `json:"problem,omitempty"`
	// Bundle reports that the CA file is the problem.
	Bundle bool `json:"bundle,omitempty"`
}

// Write encodes the result.
func (r Result) Write(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Parse decodes the output of Write and refuses anything after it.
func Parse(b []byte) (r Result, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Result{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Result{}, errors.New("more than one result")
	}
	return r, nil
}

// discoveryPath is where GitLab publishes its keys, relative to its URL. Source:
// https://docs.gitlab.com/ci/secrets/id_token_authentication/
const discoveryPath = "oauth/discovery/keys"

// KeySetURL returns the URL of the key set: keys if the site configures it, else that
// of GitLab; nil without either.
func KeySetURL(gitlab, keys *url.URL) *url.URL {
	if keys != nil || gitlab == nil {
		return keys
	}
	return gitlab.JoinPath(discoveryPath)
}

// ReservedPorts is the first port on which users other than root may listen by
// default (ip_unprivileged_port_start in ip(7)).
const ReservedPorts = 1024

// CheckURL refuses a URL whose response could come from another than the key server.
// Over https, TLS authenticates the server. Over http the address must be a loopback
// address with a port under reserved, which unprivileged users cannot open; anyPort
// accepts any loopback port.
func CheckURL(u *url.URL, reserved int, anyPort bool) error {
	switch {
	case u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return errors.New("not a URL of a host without user and fragment")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http" || !isLoopback(u.Hostname()):
		return errors.New("use https; http is only accepted for a loopback address such as http://127.0.0.1")
	case !anyPort && port(u) >= reserved:
		return fmt.Errorf("any user of this machine can listen on port %d of a loopback address: use https, or a port under %d", port(u), reserved)
	}
	return nil
}

// isLoopback accepts only an address: others control what a name resolves to.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// port returns the port of an http URL, 1<<16 for an invalid one.
func port(u *url.URL) int {
	text := u.Port()
	if text == "" {
		return 80
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 1 << 16
	}
	return int(n)
}

// ParseServer reads the URL of a server that publishes keys. Whether its port is reserved
// is for CheckURL: a site can accept others.
func ParseServer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || job.Printable(s) != s || u.Hostname() == "":
		return nil, fmt.Errorf("%q is not a URL: write \"https://gitlab.example.com\"", job.Clip(s))
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, errors.New("the URL may not have a user, a query or a fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q is not an https URL", job.Clip(s))
	}
	if err := CheckURL(u, ReservedPorts, true); err != nil {
		return nil, fmt.Errorf("%q is not protected: %w", job.Clip(s), err)
	}
	return u, nil
}

// ParseProxy reads the URL of a web proxy, "http://proxy.example:3128". The request
// to the proxy itself is not secret; TLS runs end to end with the server.
func ParseProxy(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || port(u) == 0 || port(u) == 1<<16:
		return nil, errors.New(`not the URL of a proxy: write "http://proxy.example.com:3128"`)
	case u.User != nil:
		return nil, errors.New("a proxy with a password is not supported")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("the URL of a proxy has no path, query or fragment")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
