// Package fetch fetches the key set of a server. It is the only package that uses
// HTTP and TLS, and only jacamar-keys links it.
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

// connectTimeout bounds the connection and, separately, the TLS handshake.
const connectTimeout = 5 * time.Second

// server is where the key set comes from.
type server struct {
	url            *url.URL
	proxy          *url.URL      // for an https server, nil for none
	bundle         io.Reader     // the trusted CAs in PEM form
	connectTimeout time.Duration // bounds the connection and, separately, the TLS handshake
	totalTimeout   time.Duration
}

// KeySet requests the key set at the URL address once, over https through the proxy
// at the URL proxy, "" for none. Only the CAs of the bundle, in PEM form, are trusted;
// for an http address it is not read.
func KeySet(ctx context.Context, address, proxy string, bundle io.Reader) jwks.Result {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return jwks.Result{Problem: "not the URL of a server"}
	}
	s := server{url: u, bundle: bundle, connectTimeout: connectTimeout, totalTimeout: jwks.Timeout}
	if proxy != "" && u.Scheme == "https" {
		if s.proxy, err = jwks.ParseProxy(proxy); err != nil {
			return jwks.Result{Problem: "the proxy cannot be used: " + err.Error()}
		}
	}
	return s.fetch(ctx)
}

// fetch requests the key set once. The response is bounded in time and size and its
// headers are checked; jacamar-auth parses the body.
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
		a.Problem = fmt.Sprintf("the proxy %s cannot connect: %s", s.proxy.Host, a.Problem)
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
	// A server whose connection was cut may end its response properly at that point.
	return a, cmp.Or(err, ctx.Err())
}

// client uses nothing from the environment (proxy, CA, resolver options) and follows
// no redirect. It sets connected once a proxy has connected it with the server.
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
				return fmt.Errorf("HTTP status %d", r.StatusCode)
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
		return fmt.Errorf("redirect to %q: configure the final URL", job.Clip(r.Header.Get("Location")))
	case r.StatusCode != http.StatusOK:
		return fmt.Errorf("HTTP status %d", r.StatusCode)
	case r.Header.Get("Content-Encoding") != "":
		return fmt.Errorf("the response is compressed, which was not requested")
	case kind != "application/json" && kind != "application/jwk-set+json":
		return fmt.Errorf("the response is %q, not JSON", job.Clip(kind))
	}
	return nil
}

// shortReason returns a short text for errors of the transport.
func shortReason(err error) error {
	var timeout net.Error
	var wrapped *url.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("timed out")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("connection refused")
	case errors.As(err, &wrapped):
		return wrapped.Err
	}
	return err
}

// readRoots reads the CAs. crypto/x509 by itself would use SSL_CERT_FILE and
// SSL_CERT_DIR, which the caller controls even for a program with file capabilities.
func readRoots(bundle io.Reader) (*x509.CertPool, error) {
	b, err := io.ReadAll(io.LimitReader(bundle, jwks.MaxBundle+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read it: %w", err)
	case len(b) > jwks.MaxBundle:
		return nil, fmt.Errorf("longer than %d bytes", jwks.MaxBundle)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, errors.New("no certificate in PEM form")
	}
	return pool, nil
}
