package idtoken

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/procfs"
	"jacamar-ci/internal/trustedfile"
)

// request requests a URL of the server once, by jacamar-keys: this process has neither
// HTTP nor TLS. With an error, the result still shows how far the request came.
func (k *Keys) request(ctx context.Context, u *url.URL) (jwks.Result, error) {
	s := k.settings
	program, err := s.Program()
	if err != nil {
		return jwks.Result{}, err
	}
	bundle, err := openBundle(u, s.CAFile)
	if err != nil {
		return jwks.Result{}, err
	}
	defer bundle.Close()
	args := []string{u.String()}
	if s.Proxy != nil {
		args = append(args, s.Proxy.String())
	}
	r, err := subprocess.Command{
		Path: program.String(), Args: args, Env: []string{"GOMAXPROCS=1"}, Input: bundle, As: s.FetchAs, NoNewPrivs: true,
		Limit: jwks.Timeout + time.Second, MaxOutput: jwks.MaxResult, MaxErrors: 4 << 10,
	}.Run(ctx)
	if err := runError(r, err); err != nil {
		return jwks.Result{}, fetchError(u, fmt.Errorf("%s: %w", program, err))
	}
	a, err := jwks.Parse(r.Stdout)
	switch {
	case err != nil:
		return jwks.Result{}, fetchError(u, fmt.Errorf("%s has another version: install all programs from one package", program))
	case a.Bundle:
		return a, failure.Configf("cannot use the CA file %s: %s", bundle.Name(), a.Problem)
	case a.Problem != "":
		return a, fetchError(u, errors.New(job.Printable(a.Problem)))
	}
	return a, nil
}

func fetchError(u *url.URL, err error) error {
	return failure.Privatef("cannot fetch keys from %s: %w", u.Redacted(), err)
}

// runError returns why a run of jacamar-keys gave no result, nil if it gave one.
func runError(r subprocess.Result, err error) error {
	if err != nil || r.Code == 0 {
		return err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(r.Stderr)), "\n")
	return errors.New("failed: " + job.Printable(first))
}

// endpoint returns the URL of the key set and refuses one that another server could
// respond at.
func endpoint(s KeySettings) (*url.URL, error) {
	u := jwks.KeySetURL(s.GitLab, s.JWKS)
	if u == nil {
		return nil, failure.Configf("cannot verify a token: neither gitlab_server nor jwks_url is configured")
	}
	if err := jwks.CheckURL(u, reservedPorts(unprivilegedPorts), s.AnyLoopbackPort); err != nil {
		return nil, failure.Configf("cannot fetch keys from %q: %w", u.Redacted(), err)
	}
	return u, nil
}

// unprivilegedPorts has the first port on which any user may listen (ip(7)).
const unprivilegedPorts = "/proc/sys/net/ipv4/ip_unprivileged_port_start"

// reservedPorts returns the first unreserved port of this machine, at most the default.
func reservedPorts(file string) int {
	text, err := procfs.Read(file)
	if err != nil {
		return jwks.ReservedPorts // a kernel before 4.11
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil {
		return 0
	}
	return min(int(n), jwks.ReservedPorts)
}

// systemBundles are the CA files of distributions.
var systemBundles = [...]string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL and derivatives
	"/etc/ssl/ca-bundle.pem",             // SUSE
	"/etc/ssl/cert.pem",                  // Alpine
}

// openBundle opens the trusted CAs: those of the site's file if configured, else those
// of the system, none for http.
func openBundle(u *url.URL, caFile job.AbsPath) (*os.File, error) {
	switch {
	case u.Scheme == "http":
		return os.Open(os.DevNull)
	case caFile.IsZero():
		return firstBundle(systemBundles[:])
	}
	f, err := trustedfile.Self().Open(caFile, jwks.MaxBundle)
	if err != nil {
		return nil, failure.Configf("cannot use the CA file: %w", err)
	}
	return f, nil
}

func firstBundle(paths []string) (*os.File, error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, failure.Privatef("cannot read the system's CA file: %w", err)
		}
		return f, nil
	}
	return nil, failure.Configf("cannot find the system's CA file: install the package ca-certificates, or set tls-ca-file")
}
