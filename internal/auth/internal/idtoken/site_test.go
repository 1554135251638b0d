package idtoken

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks/fetch"
	"jacamar-ci/test/harness/testutil"
)

// TestMain lets the test program stand in for jacamar-keys, which has the address
// for its one argument.
func TestMain(m *testing.M) {
	if len(os.Args) != 2 || !strings.HasPrefix(os.Args[1], "http") {
		os.Exit(m.Run())
	}
	if err := fetch.KeySet(context.Background(), os.Args[1], "", os.Stdin).Write(os.Stdout); err != nil {
		os.Exit(2)
	}
}

// site is a key server over TLS with its own CA, and a state directory.
type site struct {
	t     testing.TB
	https *httptest.Server
	// serve is the server's present behaviour; asked counts its requests.
	serve atomic.Value // of http.HandlerFunc
	asked atomic.Int32
	// settings lead there.
	settings KeySettings
	stateDir job.AbsPath
	warned   []error
	hints    []string // for users
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t}
	s.serve.Store(sends(soundSet(t)))
	s.https = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.serve.Load().(http.HandlerFunc)(w, r)
	}))
	s.https.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.https.StartTLS()
	t.Cleanup(s.https.Close)
	dir := testutil.HomeDir(t)
	s.stateDir = testutil.AbsPath(t, filepath.Join(dir, "state"))
	s.settings = KeySettings{
		GitLab:   parseURL(t, s.https.URL),
		CAFile:   caFile(t, dir, s.https.Certificate()),
		MaxAge:   24 * time.Hour,
		StaleMax: 168 * time.Hour,
		Program:  func() (job.AbsPath, error) { return job.ParseAbsPath(os.Args[0]) },
		Warn:     func(err error) { s.warned = append(s.warned, err) },
	}
	return s
}

// keys is a fresh process of the site.
func (s *site) keys() *Keys {
	s.t.Helper()
	var err error
	if s.settings.State, err = statedir.New(s.stateDir, nil); err != nil {
		s.t.Fatal(err)
	}
	k, err := NewKeys(s.settings)
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (s *site) behave(h http.HandlerFunc) { s.serve.Store(h) }

// down makes the server's address one that nobody listens on.
func (s *site) down() { s.https.Close() }

func (s *site) wantAsked(n int32) {
	s.t.Helper()
	if got := s.asked.Load(); got != n {
		s.t.Errorf("the server was asked %d times, want %d", got, n)
	}
}

// stateFile is the one file that is kept.
func (s *site) stateFile() string {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.stateDir.String(), "*"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("the state directory has %q (%v), want one file", files, err)
	}
	return files[0]
}

// sends answers with a key set as GitLab does.
func sends(body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(body)
	}
}

func caFile(t testing.TB, dir string, cert *x509.Certificate) job.AbsPath {
	t.Helper()
	path := filepath.Join(dir, "ca.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return testutil.AbsPath(t, path)
}

// certificate is one that signs itself, for a server at 127.0.0.1 or elsewhere.
func certificate(t *testing.T, ip string, from, to time.Time) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to,
		IPAddresses: []net.IP{net.ParseIP(ip)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &otherKey().PublicKey, otherKey())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: otherKey(), Leaf: leaf}
}

func parseURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
