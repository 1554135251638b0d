package gitlab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// Certificate is a fault of the server's certificate; the zero value is a valid one.
type Certificate struct {
	Expired bool
	// OtherName is for a host that is not the server's.
	OtherName bool
	// OtherCA is signed by an authority that is not the one in the CA file.
	OtherCA bool
}

// issue creates an authority and the server's certificate.
func (c Certificate) issue() (caPEM []byte, leaf tls.Certificate, err error) {
	now := time.Now()
	ca, caKey, err := authority(now)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	shown := ca
	if c.OtherCA {
		if shown, _, err = authority(now); err != nil {
			return nil, tls.Certificate{}, err
		}
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "gitlab.test"},
		NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	if c.Expired {
		template.NotAfter = now.Add(-24 * time.Hour)
	}
	if c.OtherName {
		template.IPAddresses, template.DNSNames = nil, []string{"elsewhere.test"}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	pemCA := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown.Raw})
	return pemCA, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func authority(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-72 * time.Hour), NotAfter: now.Add(72 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(der)
	return ca, key, err
}
