// Package fetch asks a server for its key set. It is the only package with HTTP and
// TLS, and jacamar-keys the only program that has it.
package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
)

// connectTimeout bounds the connection, and the TLS handshake.
const connectTimeout = 5 * time.Second

// server is where the key set comes from.
type server struct {
	url            *url.URL
	proxy          *url.URL      // by which an https server is reached, nil for none
	bundle         io.Reader     // the CAs that may vouch for it, in PEM form
	connectTimeout time.Duration // bound on the connection and on the TLS handshake
	totalTimeout   time.Duration // bound on all of it
}

// KeySet asks the server at the address once, an https server by the proxy of that
// address, "" for none. Only the CAs of the bundle, in PEM form, may vouch for the
// server; for an http address nothing is read of it.
func KeySet(ctx context.Context, address, proxy string, bundle io.Reader) jwks.Result {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return jwks.Result{Problem: "it is not the address of a server"}
	}
	s := server{url: u, bundle: bundle, connectTimeout: connectTimeout, totalTimeout: jwks.Timeout}
	if proxy != "" && u.Scheme == "https" {
		if s.proxy, err = jwks.ParseProxy(proxy); err != nil {
			return jwks.Result{Problem: "the proxy cannot be used: " + err.Error()}
		}
	}
	return s.fetch(ctx)
}

// fetch asks once. What the server sends is bounded in time and size and must look
// like a key set; what it means is for jacamar-auth to say.
func (s server) fetch(ctx context.Context) jwks.Result {
	var connected, ready atomic.Bool
	client, err := s.client(&connected)
	if err != nil {
		return jwks.Result{Problem: err.Error(), Bundle: true}
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, s.totalTimeout)
	defer cancel()
	a, err := s.exchange(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		ConnectDone: func(_, _ string, err error) { connected.CompareAndSwap(false, err == nil && s.proxy == nil) },
		GotConn:     func(httptrace.GotConnInfo) { ready.Store(true) },
	}), client)
	a.Connected, a.Secured = connected.Load(), ready.Load() && s.url.Scheme == "https"
	if err != nil {
		a.Set, a.Problem = nil, shortReason(err).Error()
	}
	if err != nil && s.proxy != nil && !a.Connected {
		a.Problem = fmt.Sprintf("the proxy %s gives no connection: %s", s.proxy.Host, a.Problem)
	}
	return a
}

func (s server) exchange(ctx context.Context, client *http.Client) (a jwks.Result, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return a, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	a.Date, _ = http.ParseTime(response.Header.Get("Date"))
	if err := checkHead(response); err != nil {
		return a, err
	}
	a.Set, err = io.ReadAll(io.LimitReader(response.Body, jwks.MaxSet+1))
	// A server that is hung up on may end its answer properly where it stands.
	return a, cmp.Or(err, ctx.Err())
}

// client takes nothing from the environment: no proxy, no CA, no resolver
// options; and it follows no redirect. It notes when a proxy has connected it with
// the server.
func (s server) client(connected *atomic.Bool) (*http.Client, error) {
	dialer := &net.Dialer{Timeout: s.connectTimeout, Resolver: &net.Resolver{PreferGo: true}}
	transport := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    s.connectTimeout,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 32 << 10,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	if s.proxy != nil {
		transport.Proxy = http.ProxyURL(s.proxy)
		transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, r *http.Response) error {
			if r.StatusCode != http.StatusOK {
				return fmt.Errorf("it answers with status %d", r.StatusCode)
			}
			connected.Store(true)
			return nil
		}
	}
	if s.url.Scheme == "https" {
		pool, err := readRoots(s.bundle)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func checkHead(r *http.Response) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.StatusCode >= 300 && r.StatusCode < 400:
		return fmt.Errorf("it redirects to %q: name the final address", job.Clip(r.Header.Get("Location")))
	case r.StatusCode != http.StatusOK:
		return fmt.Errorf("it answers with status %d", r.StatusCode)
	case r.Header.Get("Content-Encoding") != "":
		return fmt.Errorf("it sends compressed data, which was not asked for")
	case kind != "application/json" && kind != "application/jwk-set+json":
		return fmt.Errorf("it sends %q, not JSON", job.Clip(kind))
	}
	return nil
}

// shortReason says in few words what went wrong on the way.
func shortReason(err error) error {
	var timeout net.Error
	var wrapped *url.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("it does not answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("it refuses the connection")
	case errors.As(err, &wrapped):
		return wrapped.Err
	}
	return err
}

// readRoots reads the CAs. crypto/x509 by itself would look at SSL_CERT_FILE and
// SSL_CERT_DIR, which are the caller's to set even for a program with file
// capabilities.
func readRoots(bundle io.Reader) (*x509.CertPool, error) {
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
