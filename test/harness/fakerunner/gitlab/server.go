package gitlab

import (
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

// Server is a GitLab instance.
type Server struct {
	// URL is the instance's address, https and without a trailing slash. It is
	// also the issuer of tokens.
	URL string
	// CAFile is the PEM file of the authority that signed the certificate, CA
	// its content.
	CAFile string
	CA     string
	// Login signs OpenID Connect logins, CI signs id_tokens; the key set has both.
	Login, CI *Key
	// Keys is the key set's endpoint.
	Keys *KeySet

	dir  string
	http *http.Server
	quit chan struct{}

	mu        sync.Mutex
	tokens    map[string]bool
	artifacts map[string][]byte
	queue     []*Assignment
}

// Start begins to serve. Files go to dir, which must exist; the CA's file is
// readable for every account that can reach it.
func Start(dir string) (*Server, error) { return StartWith(dir, Certificate{}) }

// StartWith serves with a certificate that may be wrong.
func StartWith(dir string, c Certificate) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		URL: "https://" + listener.Addr().String(), CAFile: filepath.Join(dir, "ca.pem"), dir: dir,
		quit: make(chan struct{}), tokens: map[string]bool{}, artifacts: map[string][]byte{},
	}
	if err := s.start(listener, c); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return s, nil
}

func (s *Server) start(listener net.Listener, c Certificate) error {
	ca, leaf, err := c.issue()
	if err != nil {
		return err
	}
	s.CA = string(ca)
	if err := os.WriteFile(s.CAFile, ca, 0o644); err != nil {
		return err
	}
	if s.Login, s.CI, err = newKeys(); err != nil {
		return err
	}
	s.Keys = &KeySet{server: s, published: []*Key{s.Login, s.CI}}
	// HTTP/1 alone: over HTTP/2 the curl 7.88 in Debian's git sometimes loses the
	// connection on which the server requested a password.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler: s.routes(), Protocols: &protocols,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{leaf}},
		ErrorLog:  log.New(discard{}, "", 0), // some tests cause refused handshakes
	}
	go func() { _ = s.http.ServeTLS(listener, "", "") }()
	return nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Close ends the server and all pending requests.
func (s *Server) Close() error {
	close(s.quit)
	return s.http.Close()
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /oauth/discovery/keys", s.Keys)
	mux.Handle("GET /-/jwks", s.Keys)
	mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("POST /api/v4/jobs/{id}/artifacts", s.upload)
	mux.HandleFunc("GET /api/v4/jobs/{id}/artifacts", s.download)
	s.coordinate(mux)
	mux.HandleFunc("/", s.git)
	return mux
}

// Admit lets a job token clone and transfer artifacts.
func (s *Server) Admit(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = true
}

func (s *Server) admitted(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens[token]
}
