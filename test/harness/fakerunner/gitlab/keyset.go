package gitlab

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// KeySet is the endpoint with the issuer's public keys, at
// /oauth/discovery/keys and /-/jwks.
type KeySet struct {
	server *Server

	mu        sync.Mutex
	published []*Key
	instead   http.Handler
	requests  int
}

// ServeHTTP implements http.Handler.
func (k *KeySet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	k.requests++
	instead := k.instead
	set := make([]map[string]any, len(k.published))
	for i, key := range k.published {
		set[i] = key.JWK()
	}
	k.mu.Unlock()
	if instead != nil {
		instead.ServeHTTP(w, r)
		return
	}
	JSON(Set(set...)).ServeHTTP(w, r)
}

// Requests returns the number of requests for the keys.
func (k *KeySet) Requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.requests
}

// Answer makes the endpoint behave like h; nil restores the correct behaviour.
func (k *KeySet) Answer(h http.Handler) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.instead = h
}

// Publish replaces the set.
func (k *KeySet) Publish(keys ...*Key) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.published = keys
}

// Rotate gives the instance a new CI key and withdraws the old one.
func (k *KeySet) Rotate() error {
	key, err := NewKey(2048)
	if err != nil {
		return err
	}
	k.server.CI = key
	k.Publish(k.server.Login, key)
	return nil
}

// JSON answers with a document that may be cached for a day, as GitLab does.
func JSON(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "max-age=86400, public, must-revalidate, no-transform")
		_, _ = w.Write(body)
	})
}

// Status answers with a status and a short body.
func Status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, http.StatusText(code), code)
	})
}

// HTML answers with a login page, as a proxy does.
func HTML() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!DOCTYPE html><title>Sign in</title>"))
	})
}

// Redirect sends the client elsewhere.
func Redirect(to string) http.Handler { return http.RedirectHandler(to, http.StatusFound) }

// HangUp closes the connection without an answer, as a server that is down
// behind a load balancer.
func HangUp() http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// SlowHeaders never sends an answer while the client waits.
func (s *Server) SlowHeaders() http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { s.hang(r) })
}

// SlowBody sends the header at once and then one byte each 100 ms. It ends with an
// error, so that no client can accept what it has as the whole.
func (s *Server) SlowBody() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := w.Write([]byte(" ")); err != nil || http.NewResponseController(w).Flush() != nil {
				panic(http.ErrAbortHandler)
			}
			select {
			case <-tick.C:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			case <-s.quit:
				panic(http.ErrAbortHandler)
			}
		}
	})
}

func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.quit:
	}
}

// Huge sends that many bytes of a document that never becomes complete.
func Huge(size int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"keys":[`))
		fill(w, size)
	})
}

// GzipBomb sends that many bytes compressed to about a thousandth.
func GzipBomb(size int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write([]byte(`{"keys":[`))
		fill(z, size)
		_ = z.Close()
	})
}

func fill(w interface{ Write([]byte) (int, error) }, size int64) {
	block := make([]byte, 64<<10)
	for i := range block {
		block[i] = ' '
	}
	for ; size > 0; size -= int64(len(block)) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// discovery is the OpenID Connect document.
func (s *Server) discovery(w http.ResponseWriter, r *http.Request) {
	b, err := json.Marshal(map[string]any{
		"issuer": s.URL, "jwks_uri": s.URL + "/oauth/discovery/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	JSON(b).ServeHTTP(w, r)
}
