package idtoken

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func otherCA(t *testing.T) *x509.Certificate {
	t.Helper()
	return certificate(t, "127.0.0.1", issued.AddDate(-10, 0, 0), issued.AddDate(10, 0, 0)).Leaf
}

func TestA5ForeignCA(t *testing.T) {
	s := newSite(t)
	s.settings.CAFile = caFile(t, testutil.HomeDir(t), otherCA(t))
	_, err := s.keys().Get(context.Background(), ciID, issued)
	wantSystem(t, err, "certificate")
	s.wantAsked(0)
}

func wantSystem(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || failure.KindOf(err) != failure.System || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want a fault of the resource with %q", err, part)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %q", err)
	}
}

// TestH11Server is every misbehaviour of a key server. Each ends within the
// bound in time, in bounded memory and in one clear line.
func TestH11Server(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("H11: a redirect was followed")
	}))
	defer other.Close()
	plainOther := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("H11: a redirect to http was followed")
	}))
	defer plainOther.Close()
	redirect := func(to string, code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, code) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(code); sends(soundSet(t))(w, r) }
	}
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string
	}{
		{"H11 500", status(500), "status 500"},
		{"H11 400", status(400), "status 400"},
		{"H11 404", status(404), "status 404"},
		{"H11 204", status(204), "status 204"},
		{"H11 1 GiB", endless, "more than 262144 bytes"},
		{"H11 gzip bomb", gzipBomb, "compressed"},
		{"H11 gzip, not asked for but named", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			sends(soundSet(t))(w, r)
		}, "compressed"},
		{"H11 HTML login page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<!DOCTYPE html><html>Sign in</html>")
		}, `the response is "text/html", not JSON`},
		{"H11 keys as text", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(soundSet(t))
		}, "not JSON"},
		{"H11 HTML with the type of JSON", sends([]byte("<html>")), "not one JSON object"},
		{"H11 redirect to http", redirect(plainOther.URL, 301), "redirect to"},
		{"H11 redirect to another host", redirect(other.URL, 302), "redirect to"},
		{"H11 redirect to itself", redirect("/users/sign_in", 307), `redirect to "/users/sign_in"`},
		{"H11 status 300 without location", status(300), "redirect to"},
		{"H11 status 399", status(399), "redirect to"},
		{"H11 empty key list", sends([]byte(`{"keys":[]}`)), "no RSA signing key"},
		{"H11 empty answer", sends(nil), "not one JSON object"},
		{"H11 a header of 1 MiB", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			sends(soundSet(t))(w, r)
		}, "exceeded"},
		{"H11 answer cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5000")
			sends(soundSet(t))(w, r)
		}, "unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.behave(c.serve)
			start := time.Now()
			_, err := s.keys().Get(context.Background(), ciID, issued)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			wantSystem(t, err, c.want)
			s.wantAsked(1)
			if files, _ := os.ReadDir(s.stateDir.String()); len(files) != 0 {
				t.Errorf("something was kept: %v", files)
			}
		})
	}
}

// endless sends until the client stops reading, at most 1 GiB.
func endless(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := []byte(strings.Repeat(" ", 1<<20))
	for range 1 << 10 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func gzipBomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Encoding", "gzip")
	w.(http.Flusher).Flush()
	z := gzip.NewWriter(w)
	defer z.Close()
	chunk := make([]byte, 1<<20)
	for range 64 {
		if _, err := z.Write(chunk); err != nil {
			return
		}
	}
}

func TestH11Certificates(t *testing.T) {
	long := issued.AddDate(10, 0, 0)
	ago := time.Now().AddDate(-1, 0, 0)
	for _, c := range []struct {
		name string
		cert tls.Certificate
	}{
		{"H11 expired certificate", certificate(t, "127.0.0.1", ago.AddDate(-1, 0, 0), ago)},
		{"H11 certificate of another host", certificate(t, "127.0.0.2", ago, long)},
		{"H11 certificate not yet valid", certificate(t, "127.0.0.1", long, long.AddDate(1, 0, 0))},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.https.TLS.Certificates = []tls.Certificate{c.cert}
			// The site trusts this very certificate as a CA, so that only the
			// fault named is left.
			s.settings.CAFile = caFile(t, testutil.HomeDir(t), c.cert.Leaf)
			_, err := s.keys().Get(context.Background(), ciID, issued)
			wantSystem(t, err, "certificate")
			s.wantAsked(0)
		})
	}
}

func TestH11OldTLS(t *testing.T) {
	s := newSite(t)
	s.https.TLS.MinVersion, s.https.TLS.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	_, err := s.keys().Get(context.Background(), ciID, issued)
	wantSystem(t, err, "protocol version")
	s.wantAsked(0)
}

func TestH11Down(t *testing.T) {
	s := newSite(t)
	s.down()
	_, err := s.keys().Get(context.Background(), ciID, issued)
	wantSystem(t, err, "connection refused")
}

func TestFetchStopsWithTheContext(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.behave(func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	_, err := s.keys().Get(ctx, ciID, issued)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

// newPlain is a key server over http.
func newPlain(t *testing.T) string {
	t.Helper()
	plain := httptest.NewServer(sends(soundSet(t)))
	t.Cleanup(plain.Close)
	return plain.URL
}

func TestFetchOverLoopbackHTTP(t *testing.T) {
	s := newSite(t)
	s.settings.GitLab, s.settings.AnyLoopbackPort = parseURL(t, newPlain(t)), true
	// No CA is needed, and none is read.
	s.settings.CAFile = testutil.AbsPath(t, "/nonexistent/ca.pem")
	if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
		t.Error(err)
	}
}

func TestFetchContentType(t *testing.T) {
	s := newSite(t)
	s.behave(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(soundSet(t))
	})
	if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
		t.Error(err)
	}
}

// TestEndpointURL: the address is GitLab's discovery path below its own, or
// the site's.
func TestEndpointURL(t *testing.T) {
	for _, c := range []struct{ name, gitlab, jwks, want string }{
		{"GitLab", "", "", "/oauth/discovery/keys"},
		{"GitLab with a trailing slash", "/", "", "/oauth/discovery/keys"},
		{"GitLab below a path", "/gitlab", "", "/gitlab/oauth/discovery/keys"},
		{"explicit", "", "/-/jwks", "/-/jwks"},
		{"explicit with a query", "", "/k?tenant=1", "/k?tenant=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			asked := make(chan string, 1)
			s.behave(func(w http.ResponseWriter, r *http.Request) {
				asked <- r.Method + " " + r.URL.RequestURI() + " " + r.Header.Get("Accept-Encoding")
				sends(soundSet(t))(w, r)
			})
			if c.jwks != "" {
				s.settings.JWKS = parseURL(t, s.https.URL+c.jwks)
			}
			s.settings.GitLab = parseURL(t, s.https.URL+c.gitlab)
			if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
				t.Fatal(err)
			}
			if got := <-asked; got != "GET "+c.want+" " {
				t.Errorf("asked %q, want %q", got, "GET "+c.want+" ")
			}
		})
	}
}

func TestEndpointRefuses(t *testing.T) {
	for _, c := range []struct{ name, gitlab, jwks string }{
		{"nothing configured", "", ""},
		{"http to a host", "http://gitlab.site.example", ""},
		{"http to a private address", "http://10.0.0.1", ""},
		{"http to a name of the loopback", "http://localhost:80", ""},
		{"explicit http", "https://gitlab.site.example", "http://gitlab.site.example/-/jwks"},
		{"no host", "https:///keys", ""},
		{"user info", "https://u:hunter2@gitlab.site.example", ""},
		{"fragment", "https://gitlab.site.example", "https://x.example/keys#a"},
		{"opaque", "https://gitlab.site.example", "https:keys"},
		{"file", "https://gitlab.site.example", "file:///etc/passwd"},
		{"ftp to the loopback", "ftp://127.0.0.1/x", ""},
		{"relative", "gitlab.site.example", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := KeySettings{}
			if c.gitlab != "" {
				s.GitLab = parseURL(t, c.gitlab)
			}
			if c.jwks != "" {
				s.JWKS = parseURL(t, c.jwks)
			}
			_, err := NewKeys(s)
			if failure.KindOf(err) != failure.Config {
				t.Errorf("error %v, want a fault of the configuration", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestEndpointAccepts(t *testing.T) {
	for u, anyPort := range map[string]bool{
		"http://127.0.0.1:1023": false, "http://127.9.9.9": false, "http://[::1]:80": false, "https://gitlab.site.example:8443": false, "http://127.0.0.1:8080": true,
	} {
		if _, err := endpoint(KeySettings{GitLab: parseURL(t, u), AnyLoopbackPort: anyPort}); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	if _, err := endpoint(KeySettings{JWKS: parseURL(t, "https://x.example/keys")}); err != nil {
		t.Errorf("the site's own address alone: %v", err)
	}
	_, err := endpoint(KeySettings{GitLab: parseURL(t, "http://127.0.0.1:8080")})
	if failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), "any user of this machine can listen on port 8080") {
		t.Errorf("error %v", err)
	}
}

// TestReservedPorts: this machine may leave fewer ports to root than usual.
func TestReservedPorts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "start")
	for text, want := range map[string]int{"1024\n": 1024, "0\n": 0, "80\n": 80, "32768\n": 1024, "x\n": 0, "": 0} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := reservedPorts(file); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	if got := reservedPorts(file + "-missing"); got != 1024 {
		t.Errorf("on a kernel that does not say: %d", got)
	}
}

// TestProxyIsPassedOn: jacamar-keys gets the proxy and no other argument.
func TestProxyIsPassedOn(t *testing.T) {
	s := newSite(t)
	program := filepath.Join(testutil.HomeDir(t), "jacamar-keys")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$# $2.\" >&2; exit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.settings.Program = func() (job.AbsPath, error) { return job.ParseAbsPath(program) }
	for proxy, want := range map[string]string{"": "failed: 1 .", "http://proxy.example:3128": "failed: 2 http://proxy.example:3128."} {
		s.settings.Proxy = nil
		if proxy != "" {
			s.settings.Proxy = parseURL(t, proxy)
		}
		_, err := s.keys().Get(ctx, ciID, issued)
		wantSystem(t, err, want)
	}
}

// TestFetcherMisbehaves has other programs in the place of jacamar-keys.
func TestFetcherMisbehaves(t *testing.T) {
	s := newSite(t)
	program := filepath.Join(testutil.HomeDir(t), "jacamar-keys")
	for name, c := range map[string]struct{ script, want string }{
		"it is not there":            {"", "no such file or directory"},
		"it fails":                   {"#!/bin/sh\necho 'jacamar-keys: cannot give up root: x' >&2; echo more >&2; exit 2\n", "failed: jacamar-keys: cannot give up root: x"},
		"it is killed":               {"#!/bin/sh\nkill -9 $$\n", "ended by signal 9"},
		"it answers nothing":         {"#!/bin/sh\n", "has another version: install all programs from one package"},
		"it answers something else":  {"#!/bin/sh\necho '{\"keys\":[]}'\n", "has another version"},
		"it answers too much":        {"#!/bin/sh\nexec cat /dev/zero\n", "printed more than 524288 bytes"},
		"it answers and fails":       {"#!/bin/sh\necho '{}'; exit 1\n", "failed"},
		"it answers with no set":     {"#!/bin/sh\necho '{}'\n", "not one JSON object"},
		"its problem has two lines":  {"#!/bin/sh\nprintf %s '{\"problem\":\"a\\nb\"}'\n", ": a?b"},
		"it is handed no password":   {"#!/bin/sh\nenv >&2; exit 1\n", "failed: PWD=/"},
		"its input is not the CA's":  {"#!/bin/sh\ngrep -q CERTIFICATE || exit 3; echo '{\"problem\":\"read\"}'\n", ": read"},
		"its argument is the server": {"#!/bin/sh\necho \"{\\\"problem\\\":\\\"$*\\\"}\"\n", ": " + s.https.URL + "/oauth/discovery/keys"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(program); err != nil {
				t.Fatal(err)
			}
			if c.script != "" {
				if err := os.WriteFile(program, []byte(c.script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			s.settings.Program = func() (job.AbsPath, error) { return job.ParseAbsPath(program) }
			_, err := s.keys().Get(context.Background(), ciID, issued)
			wantSystem(t, err, c.want)
		})
	}
	s.wantAsked(0)
}

// TestFetcherLookedUpLate: a stage with kept keys does not look for it.
func TestFetcherLookedUpLate(t *testing.T) {
	s := newSite(t)
	if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
		t.Fatal(err)
	}
	s.settings.Program = func() (job.AbsPath, error) { return job.AbsPath{}, failure.Configf("there is none") }
	if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
		t.Error(err)
	}
	if _, err := s.keys().Refresh(context.Background(), issued, false); failure.KindOf(err) != failure.Config {
		t.Errorf("error %v, want that of looking for it", err)
	}
}
