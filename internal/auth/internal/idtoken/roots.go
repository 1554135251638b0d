package idtoken

import (
	"errors"
	"io/fs"
	"os"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/trustedfile"
)

// systemBundles are the files in which distributions keep the CAs they trust.
var systemBundles = [...]string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL and its kin
	"/etc/ssl/ca-bundle.pem",             // SUSE
	"/etc/ssl/cert.pem",                  // Alpine
}

// bundle opens the CAs that may vouch for the server: those of the site's file
// alone when there is one, else the system's; over http nobody has to.
func (s server) bundle() (*os.File, error) {
	switch {
	case s.url.Scheme == "http":
		return os.Open(os.DevNull)
	case s.caFile.IsZero():
		return firstBundle(systemBundles[:])
	}
	f, err := trustedfile.Self().Open(s.caFile, jwks.MaxBundle)
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
