package fetch

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// proxy is a web proxy that connects its clients with any server (RFC 9110 section
// 9.3.6) and counts the connections.
type proxy struct {
	*httptest.Server
	connects atomic.Int32
	// to is the server that it connects with instead, nil for the requested one.
	to net.Addr
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(p.connect))
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	p.connects.Add(1)
	if r.Method != http.MethodConnect {
		http.Error(w, "connections only", http.StatusMethodNotAllowed)
		return
	}
	address := r.Host
	if p.to != nil {
		address = p.to.String()
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		http.Error(w, "no", http.StatusBadGateway)
		return
	}
	defer server.Close()
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() { _, _ = io.Copy(server, client) }()
	_, _ = io.Copy(client, server)
}

// by returns s with a proxy.
func (s server) by(t *testing.T, address string) server {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s.proxy = u
	return s
}

func TestProxyConnects(t *testing.T) {
	p := newProxy(t)
	s := newServer(t, sends("application/json", `{"keys":[]}`)).by(t, p.URL)
	if a := s.fetch(t.Context()); string(a.Set) != `{"keys":[]}` || !a.Connected || !a.Secured || a.Problem != "" {
		t.Errorf("%+v", a)
	}
	if n := p.connects.Load(); n != 1 {
		t.Errorf("the proxy got %d requests", n)
	}
}

// TestProxyImpostor: a server that the proxy substitutes is not trusted and gets no
// request.
func TestProxyImpostor(t *testing.T) {
	var requests atomic.Int32
	impostor := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	impostor.TLS = &tls.Config{Certificates: []tls.Certificate{foreign(t)}}
	impostor.Config.ErrorLog = log.New(io.Discard, "", 0)
	impostor.StartTLS()
	t.Cleanup(impostor.Close)
	p := newProxy(t)
	p.to = impostor.Listener.Addr()
	a := newServer(t, sends("application/json", "{}")).by(t, p.URL).fetch(t.Context())
	if !a.Connected || a.Secured || a.Set != nil || !strings.Contains(a.Problem, "certificate") {
		t.Errorf("%+v", a)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("the impostor got %d requests", n)
	}
}

// foreign is a certificate for the server's address from an untrusted CA.
func foreign(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestProxyMisbehaves: H11, the result shows how far the request came, in time and
// within bounds.
func TestProxyMisbehaves(t *testing.T) {
	raw := func(answer func(net.Conn)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			answer(conn)
		}
	}
	endless := bytes.Repeat([]byte("X: y\r\n"), 4096)
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string
	}{
		{"it requires a password", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(407) }, "HTTP status 407"},
		{"it forbids the server", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "HTTP status 403"},
		{"it cannot reach the server", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, "HTTP status 502"},
		{"it redirects", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://evil/")
			w.WriteHeader(302)
		}, "HTTP status 302"},
		{"it sends nothing", raw(func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }), "timed out"},
		{"it hangs up", raw(func(net.Conn) {}), "unexpected EOF"},
		{"it uses another protocol", raw(func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n") }), "malformed HTTP"},
		{"its head has no end", raw(func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := c.Write(endless); err != nil {
					return
				}
			}
		}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := httptest.NewServer(c.serve)
			t.Cleanup(p.Close)
			s := newServer(t, sends("application/json", "{}")).by(t, p.URL)
			s.totalTimeout = 2 * time.Second
			begin := time.Now()
			a := s.fetch(t.Context())
			if a.Connected || a.Secured || a.Set != nil || !strings.HasPrefix(a.Problem, "the proxy "+s.proxy.Host+" cannot connect: "+c.want) {
				t.Errorf("%+v", a)
			}
			if took := time.Since(begin); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	t.Run("no listener", func(t *testing.T) {
		a := newServer(t, sends("application/json", "{}")).by(t, "http://127.0.0.1:1").fetch(t.Context())
		if a.Connected || a.Problem != "the proxy 127.0.0.1:1 cannot connect: connection refused" {
			t.Errorf("%+v", a)
		}
	})
}

// TestProxyArgument: KeySet uses the given proxy, only for https.
func TestProxyArgument(t *testing.T) {
	p := newProxy(t)
	s := newServer(t, sends("application/json", `{"keys":[]}`))
	bundle, err := io.ReadAll(s.bundle)
	if err != nil {
		t.Fatal(err)
	}
	if a := KeySet(t.Context(), s.url.String(), p.URL, bytes.NewReader(bundle)); a.Problem != "" || p.connects.Load() != 1 {
		t.Errorf("%+v after %d connections", a, p.connects.Load())
	}
	plain := httptest.NewServer(sends("application/json", "{}"))
	t.Cleanup(plain.Close)
	if a := KeySet(t.Context(), plain.URL, p.URL, strings.NewReader("")); a.Problem != "" || p.connects.Load() != 1 {
		t.Errorf("over http: %+v after %d connections", a, p.connects.Load())
	}
	if a := KeySet(t.Context(), s.url.String(), "socks5://x:1", bytes.NewReader(bundle)); !strings.HasPrefix(a.Problem, "the proxy cannot be used: ") {
		t.Errorf("%+v", a)
	}
}
