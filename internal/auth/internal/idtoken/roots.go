package idtoken

import (
	"crypto/x509"
	"io"
	"os"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/trustedfile"
)

// maxBundle is the longest CA file in bytes; a system's has 0.2 MiB.
const maxBundle = 4 << 20

// systemBundles are the files in which distributions keep the CAs they trust.
// crypto/x509 would look at SSL_CERT_FILE and SSL_CERT_DIR first, which are the
// caller's to set even for a program with file capabilities.
var systemBundles = [...]string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL and its kin
	"/etc/ssl/ca-bundle.pem",             // SUSE
	"/etc/ssl/cert.pem",                  // Alpine
}

// roots returns the CAs that may vouch for the key server: those of the site's
// file alone when there is one, else the system's.
func roots(file job.AbsPath) (*x509.CertPool, error) {
	if file.IsZero() {
		return firstBundle(systemBundles[:])
	}
	b, err := trustedfile.Read(file, maxBundle)
	if err != nil {
		return nil, failure.Configf("cannot use the CA file: %w", err)
	}
	return parseBundle(file.String(), b)
}

func firstBundle(paths []string) (*x509.CertPool, error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxBundle))
		if err != nil {
			return nil, failure.Privatef("cannot read the system's CA file: %w", err)
		}
		return parseBundle(path, b)
	}
	return nil, failure.Configf("cannot find the system's CA file: install the package ca-certificates, or set tls-ca-file")
}

func parseBundle(path string, b []byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, failure.Configf("cannot use the CA file %s: it has no certificate in PEM form", path)
	}
	return pool, nil
}
