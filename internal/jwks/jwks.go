// Package jwks is what jacamar-keys, which asks a server for its key set, tells
// jacamar-auth, which alone reads such a set and believes it.
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
	"time"
)

const (
	// MaxSet is the longest key set in bytes. GitLab's has two keys in 1 KiB.
	MaxSet = 256 << 10
	// MaxResult is the longest encoded answer in bytes: a set takes a third more
	// in base64.
	MaxResult = 2 * MaxSet
	// MaxBundle is the longest CA file in bytes; a system's has 0.2 MiB.
	MaxBundle = 4 << 20

	// Timeout bounds the whole question.
	Timeout = 10 * time.Second
)

// Result is what a server sent, or how far the question came.
type Result struct {
	// Connected reports whether anything listens there.
	Connected bool `json:"connected"`
	// Secured reports whether its certificate was verified; false for http.
	Secured bool `json:"secured"`
	// Date is the server's clock; zero when it did not say.
	Date time.Time `json:"date,omitzero"`
	// Set is as it was sent. It may be longer than MaxSet by one byte, and so is
	// known to be too long.
	Set []byte `json:"set,omitempty"`
	// Problem says why there is no set, "" when there is one.
	Problem string `json:"problem,omitempty"`
	// Bundle reports that the problem is the CA file's.
	Bundle bool `json:"bundle,omitempty"`
}

// Write encodes the answer.
func (a Result) Write(w io.Writer) error { return json.NewEncoder(w).Encode(a) }

// Parse decodes what Write wrote, all of it.
func Parse(b []byte) (a Result, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Result{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Result{}, errors.New("there is more than one answer")
	}
	return a, nil
}

// discoveryPath is where GitLab publishes its keys, below its own address. Source:
// https://docs.gitlab.com/ci/secrets/id_token_authentication/
const discoveryPath = "oauth/discovery/keys"

// KeySetURL returns the address of the key set: keys where the site names one, else
// GitLab's own; nil without either.
func KeySetURL(gitlab, keys *url.URL) *url.URL {
	if keys != nil || gitlab == nil {
		return keys
	}
	return gitlab.JoinPath(discoveryPath)
}

// ReservedPorts ends the ports on which Linux lets only root listen, unless it is
// told otherwise (ip(7), ip_unprivileged_port_start).
const ReservedPorts = 1024

// CheckURL says why keys from an address need not be the server's: over https, TLS
// proves it; over http it must be this machine's, and a port under reserved, which
// no ordinary user can take. anyPort is for a site that wants any loopback port all
// the same.
func CheckURL(u *url.URL, reserved int, anyPort bool) error {
	switch {
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http" || !isLoopback(u.Hostname()):
		return errors.New("use https; http is for a loopback address alone, such as http://127.0.0.1")
	case !anyPort && port(u) >= reserved:
		return fmt.Errorf("any user of this machine can listen on port %d of a loopback address: use https, or a port under %d", port(u), reserved)
	}
	return nil
}

// isLoopback takes an address only: what a name leads to is for others to say.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// port is that of an http address. One that is no number is the highest.
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

// ParseProxy reads the address of a web proxy, "http://proxy.example:3128". What is
// said to the proxy itself is not secret, and TLS is spoken with the server behind it.
func ParseProxy(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" || u.Hostname() == "" || u.Port() == "" || port(u) == 0 || port(u) == 1<<16:
		return nil, errors.New(`it is not the address of a proxy: write "http://proxy.example.com:3128"`)
	case u.User != nil:
		return nil, errors.New("a proxy that wants a password is not supported")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("the address of a proxy has no path, query or fragment")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
