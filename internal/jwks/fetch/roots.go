package fetch

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"jacamar-ci/internal/jwks"
)

// roots reads the CAs. crypto/x509 by itself would look at SSL_CERT_FILE and
// SSL_CERT_DIR, which are the caller's to set even for a program with file
// capabilities.
func roots(bundle io.Reader) (*x509.CertPool, error) {
	b, err := io.ReadAll(io.LimitReader(bundle, jwks.MaxBundle+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("it cannot be read: %w", err)
	case len(b) > jwks.MaxBundle:
		return nil, fmt.Errorf("it is longer than %d bytes", jwks.MaxBundle)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, errors.New("it has no certificate in PEM form")
	}
	return pool, nil
}
