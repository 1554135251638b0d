package containers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/setup/freeports"
)

// Registry is a docker-registry on 127.0.0.1, with TLS and a password.
type Registry struct {
	// Host is its address with its port, CAFile the authority of its certificate.
	Host, CAFile string

	dir    string
	cmd    *exec.Cmd
	client *http.Client
}

// passwords is the line of htpasswd(1) for the login of package images, by bcrypt.
const passwords = images.User + ":$2b$05$abcdefghijklmnopqrstuuykDbrHIkPBAe3TkMNzTPuBTmCT39jdG\n"

// StartRegistry starts one below dir, with images. It ends with this process.
func StartRegistry(dir string, content []images.Packed) (*Registry, error) {
	address, err := freeports.Address()
	if err != nil {
		return nil, err
	}
	r := &Registry{dir: dir, Host: address, CAFile: filepath.Join(dir, "cert.pem")}
	if err := errors.Join(r.write(), r.start()); err != nil {
		return nil, err
	}
	for _, p := range content {
		if err := images.Push(r.client, r.Host, p); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

func (r *Registry) write() error {
	certificate, key, err := selfSigned()
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	r.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, Timeout: time.Minute}
	text := fmt.Sprintf(`version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: %[1]s/data}}
http: {addr: "%[2]s", tls: {certificate: %[1]s/cert.pem, key: %[1]s/key.pem}}
auth: {htpasswd: {realm: test, path: %[1]s/htpasswd}}
`, r.dir, r.Host)
	return errors.Join(
		os.Chmod(r.dir, 0o755),
		os.WriteFile(r.CAFile, certificate, 0o644), os.WriteFile(filepath.Join(r.dir, "key.pem"), key, 0o600),
		os.WriteFile(filepath.Join(r.dir, "htpasswd"), []byte(passwords), 0o600),
		os.WriteFile(filepath.Join(r.dir, "config.yml"), []byte(text), 0o600),
	)
}

func (r *Registry) logFile() string { return filepath.Join(r.dir, "registry.log") }

func (r *Registry) start() error {
	log, err := os.Create(r.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	r.cmd = exec.Command("/usr/bin/docker-registry", "serve", filepath.Join(r.dir, "config.yml"))
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.Env = log, log, []string{"PATH=/usr/bin:/bin", "OTEL_TRACES_EXPORTER=none"}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		answer, err := r.client.Get("https://" + r.Host + "/v2/")
		if err == nil {
			return answer.Body.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	text, _ := os.ReadFile(r.logFile())
	return fmt.Errorf("docker-registry does not answer: %s", text)
}

// Close ends it.
func (r *Registry) Close() error {
	err := r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	return err
}

// selfSigned is a certificate of 127.0.0.1 that is its own authority.
func selfSigned() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry.test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}), nil
}
