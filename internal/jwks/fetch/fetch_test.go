package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jacamar-ci/internal/jwks"
)

// newServer starts a TLS server and returns the client's view of it, with its CA.
func newServer(t *testing.T, serve http.HandlerFunc) server {
	t.Helper()
	https := httptest.NewUnstartedServer(serve)
	https.Config.ErrorLog = log.New(io.Discard, "", 0)
	https.StartTLS()
	t.Cleanup(https.Close)
	u, err := url.Parse(https.URL)
	if err != nil {
		t.Fatal(err)
	}
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw})
	return server{url: u, bundle: bytes.NewReader(bundle), connectTimeout: connectTimeout, totalTimeout: jwks.Timeout}
}

func sends(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	}
}

func TestKeySet(t *testing.T) {
	s := newServer(t, sends("application/json", `{"keys":[]}`))
	before := time.Now().Add(-2 * time.Second)
	a := s.fetch(t.Context())
	if string(a.Set) != `{"keys":[]}` || !a.Connected || !a.Secured || a.Problem != "" || a.Bundle || a.Date.Before(before) {
		t.Errorf("%+v", a)
	}
}

// TestH11Progress: what an administrator reads about a faulty server depends on how
// far the request came.
func TestH11Progress(t *testing.T) {
	sound := newServer(t, sends("application/json", "{}"))
	for _, c := range []struct {
		name               string
		change             func(*server)
		connected, secured bool
		bundle             bool
		problem            string
	}{
		{"sound", func(*server) {}, true, true, false, ""},
		{"no listener", func(s *server) { s.url.Host = "127.0.0.1:1" }, false, false, false, "connection refused"},
		{"an unknown certificate", func(s *server) { s.bundle = strings.NewReader(otherCA) }, true, false, false, "certificate"},
		{"no certificate in the CA file", func(s *server) { s.bundle = strings.NewReader("-----BEGIN X-----") }, false, false, true, "no certificate in PEM form"},
		{"a CA file without end", func(s *server) { s.bundle = zeros{} }, false, false, true, "longer than 4194304 bytes"},
		{"a CA file that cannot be read", func(s *server) { s.bundle = closed(t) }, false, false, true, "cannot read it"},
		{"https to an http server", func(s *server) { s.url.Host = plain80(t) }, true, false, false, "HTTP response to HTTPS client"},
		{"http", func(s *server) { s.url = &url.URL{Scheme: "http", Host: plain80(t)} }, true, false, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sound
			u := *sound.url
			s.url = &u
			bundle, err := io.ReadAll(sound.bundle)
			if err != nil {
				t.Fatal(err)
			}
			sound.bundle, s.bundle = bytes.NewReader(bundle), bytes.NewReader(bundle)
			c.change(&s)
			a := s.fetch(t.Context())
			if a.Connected != c.connected || a.Secured != c.secured || a.Bundle != c.bundle || (c.problem == "") != (a.Problem == "") || !strings.Contains(a.Problem, c.problem) {
				t.Errorf("%+v", a)
			}
			if (a.Problem == "") != (a.Set != nil) {
				t.Errorf("a problem and a set, or none: %+v", a)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func closed(t *testing.T) io.Reader {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return f
}

func plain80(t *testing.T) string {
	plain := httptest.NewServer(sends("application/json", "{}"))
	t.Cleanup(plain.Close)
	return plain.Listener.Addr().String()
}

// TestH11Slow: the request to a slow server times out.
func TestH11Slow(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"headers": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"keys":[`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, serve)
			s.connectTimeout, s.totalTimeout = 100*time.Millisecond, 200*time.Millisecond
			start := time.Now()
			if a := s.fetch(t.Context()); a.Problem != "timed out" || a.Set != nil {
				t.Errorf("%+v", a)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestH11Memory: what a server sends beyond the bound is not read.
func TestH11Memory(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range 1 << 10 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := s.fetch(t.Context())
	runtime.ReadMemStats(&after)
	if len(a.Set) != jwks.MaxSet+1 {
		t.Errorf("a set of %d bytes, want %d: %s", len(a.Set), jwks.MaxSet+1, a.Problem)
	}
	// The test's server is in the same process and counts too.
	if got := (after.TotalAlloc - before.TotalAlloc) >> 20; got >= 64 {
		t.Errorf("%d MiB were allocated", got)
	}
	var written bytes.Buffer
	if err := a.Write(&written); err != nil || written.Len() > jwks.MaxResult {
		t.Errorf("the longest result has %d bytes, more than is read: %v", written.Len(), err)
	}
}

func TestStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if a := s.fetch(ctx); a.Problem == "" {
		t.Errorf("%+v", a)
	}
}

// TestA5Client plants a proxy and a CA, as the caller of a program with file
// capabilities can. net/http and crypto/x509 cache what they read for the process,
// so the test inspects the client, not a request.
func TestA5Client(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy"} {
		t.Setenv(name, "http://127.0.0.1:9")
	}
	planted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(planted, []byte(otherCA), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", planted)
	t.Setenv("SSL_CERT_DIR", filepath.Dir(planted))
	s := newServer(t, sends("application/json", "{}"))
	client, err := s.client(new(atomic.Bool))
	if err != nil {
		t.Fatal(err)
	}
	transport := client.Transport.(*http.Transport)
	if transport.Proxy != nil {
		t.Error("A5: the client can use a proxy from the environment")
	}
	other, err := readRoots(strings.NewReader(otherCA))
	if err != nil {
		t.Fatal(err)
	}
	if pool := transport.TLSClientConfig.RootCAs; pool == nil || pool.Equal(other) {
		t.Error("A5: the planted CA is trusted")
	}
	if transport.TLSClientConfig.InsecureSkipVerify || transport.TLSClientConfig.MinVersion < tls.VersionTLS12 {
		t.Error("the server is not verified as it should be")
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "gitlab.site.example", "file:///etc/passwd", "https:///x", "https:keys", "ftp://127.0.0.1/", "http://%zz"} {
		if a := KeySet(t.Context(), address, "", strings.NewReader("")); a.Problem != "not the URL of a server" {
			t.Errorf("%q: %+v", address, a)
		}
	}
}

// otherCA has not signed the server's certificate.
const otherCA = `-----BEGIN CERTIFICATE-----
MIIBezCCASGgAwIBAgIUEv5OKdOn0GK7w72EVClNQ/s57FowCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHYW5vdGhlcjAgFw0yNjExMjExMzUyMThaGA8yMTI2MTAyODEz
NTIxOFowEjEQMA4GA1UEAwwHYW5vdGhlcjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABPgThSiQnst6A+M1brLepfANJBAkWfiIX25RsOx+q7/4K0pr4jvugewqvGW5
6H94rpqUQTTru1cun524CaKUK3OjUzBRMB0GA1UdDgQWBBT3U90j0WKljprTRitU
fda0bHwYDDAfBgNVHSMEGDAWgBT3U90j0WKljprTRitUfda0bHwYDDAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIBMaeFcUAZ+5Gg/sOM0iV/7BTVro
BKRVy1KAo/9XrPS/AiEAm+ZYh9zY2g1NZcM9f1QI4u6ELv1RMBu/yCGslNo6o2o=
-----END CERTIFICATE-----
`

func TestCheckHead(t *testing.T) {
	for _, tt := range []struct {
		status         int
		kind, encoding string
		want           string
	}{
		{200, "application/json", "", ""},
		{200, "application/json; charset=utf-8", "", ""},
		{200, "application/jwk-set+json", "", ""},
		{200, "text/html", "", "not JSON"},
		{200, "", "", "not JSON"},
		{200, "application/json", "gzip", "compressed"},
		{299, "application/json", "", "HTTP status 299"},
		{300, "application/json", "", "redirect"},
		{399, "application/json", "", "redirect"},
		{400, "application/json", "", "HTTP status 400"},
		{500, "application/json", "", "HTTP status 500"},
	} {
		r := &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.kind}, "Content-Encoding": {tt.encoding}}}
		err := checkHead(r)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d %q %q: %v, want %q", tt.status, tt.kind, tt.encoding, err, tt.want)
		}
	}
}
