package images

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Fault is how a registry treats a repository.
type Fault string

// The faults. A repository without one is served.
const (
	Unauthorized Fault = "401"
	Forbidden    Fault = "403"
	Throttled    Fault = "429"
	Broken       Fault = "500"
	// Cut ends the connection within a layer.
	Cut Fault = "cut"
	// Garbage answers requests for manifests with text that is none.
	Garbage Fault = "garbage"
	// Slow sends the first half of a layer, and then nothing.
	Slow Fault = "slow"
	// EndlessLayer and EndlessManifest answer with more and more, at a moderate rate.
	EndlessLayer    Fault = "endless layer"
	EndlessManifest Fault = "endless manifest"
)

// The login of registries with passwords.
const (
	User     = "ci"
	Password = "pa55-w0rd"
)

// Registry serves images over TLS on 127.0.0.1, as the distribution specification has it
// (https://github.com/opencontainers/distribution-spec), for reading.
type Registry struct {
	// Host is its address with its port, CAFile its certificate.
	Host, CAFile string

	server *httptest.Server

	mu       sync.Mutex
	faults   map[string]Fault
	login    map[string]bool
	content  map[string]Blob // by repository and digest or tag
	requests []string
}

// Serve starts a registry that serves each image under its name. dir is for its
// certificate.
func Serve(dir string, images []Packed) (*Registry, error) {
	r := &Registry{content: map[string]Blob{}, faults: map[string]Fault{}, login: map[string]bool{}}
	for _, p := range images {
		r.add(p.Repository(), p)
	}
	r.server = httptest.NewUnstartedServer(http.HandlerFunc(r.serve))
	// HTTP/2 would not show a connection that ends early.
	r.server.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	r.server.StartTLS()
	r.Host = r.server.Listener.Addr().String()
	r.CAFile = filepath.Join(dir, "registry-ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.server.Certificate().Raw})
	if err := os.WriteFile(r.CAFile, text, 0o644); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Registry) add(repository string, p Packed) {
	for _, b := range append(append([]Blob{}, p.Blobs...), p.Manifests...) {
		r.content[repository+"@"+b.Digest] = b
	}
	r.content[repository+"@"+p.Tag()] = p.Manifests[len(p.Manifests)-1]
}

// Copy serves an image under another repository, with a fault or "" for none, and
// returns its reference.
func (r *Registry) Copy(p Packed, repository string, f Fault) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(repository, p)
	r.faults[repository] = f
	return r.Host + "/" + repository + ":" + p.Tag()
}

// Private requires the login for a repository.
func (r *Registry) Private(repository string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.login[repository] = true
}

// Close ends it.
func (r *Registry) Close() {
	r.server.CloseClientConnections()
	r.server.Close()
}

// Requests counts the requests whose line contains all texts: method, path.
func (r *Registry) Requests(texts ...string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.requests {
		ok := true
		for _, text := range texts {
			ok = ok && strings.Contains(line, text)
		}
		if ok {
			n++
		}
	}
	return n
}

// serve answers GET and HEAD of /v2/, manifests and blobs.
func (r *Registry) serve(w http.ResponseWriter, q *http.Request) {
	repository, kind, name := split(q.URL.Path)
	r.mu.Lock()
	r.requests = append(r.requests, q.Method+" "+q.URL.Path)
	fault, private := r.faults[repository], r.login[repository]
	b, found := r.content[repository+"@"+name]
	r.mu.Unlock()
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	user, password, _ := q.BasicAuth()
	switch {
	case kind == "":
		// The API itself needs no login, so that an engine sends one where it has one.
		_, _ = w.Write([]byte("{}"))
	case fault == Unauthorized, private && (user != User || password != Password):
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
	case fault == Forbidden:
		refuse(w, http.StatusForbidden, "DENIED", "requested access to the resource is denied")
	case fault == Throttled:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "you have reached your pull rate limit")
	case fault == Broken:
		refuse(w, http.StatusInternalServerError, "UNKNOWN", "internal error")
	case !found && kind == "manifests":
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
	case !found:
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown")
	default:
		r.send(w, q, b, fault)
	}
}

// split returns the parts of /v2/REPOSITORY/(manifests|blobs)/NAME.
func split(path string) (repository, kind, name string) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	for _, kind := range []string{"manifests", "blobs"} {
		if i := strings.LastIndex(rest, "/"+kind+"/"); ok && i >= 0 {
			return rest[:i], kind, rest[i+len(kind)+2:]
		}
	}
	return "", "", ""
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, text)
}

func (r *Registry) send(w http.ResponseWriter, q *http.Request, b Blob, f Fault) {
	data := b.Data
	if f == Garbage && b.Media != mediaLayer {
		data = []byte("<html>a login page</html>")
	}
	w.Header().Set("Content-Type", b.Media)
	w.Header().Set("Docker-Content-Digest", b.Digest)
	if q.Method == http.MethodGet && (f == EndlessLayer && b.Media == mediaLayer || f == EndlessManifest && b.Media == mediaManifest) {
		r.sendEndlessly(w, q, data)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	if q.Method == http.MethodHead {
		return
	}
	if b.Media == mediaLayer && (f == Cut || f == Slow) {
		if _, err := w.Write(data[:len(data)/2]); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		if f == Cut {
			panic(http.ErrAbortHandler)
		}
		select {
		case <-q.Context().Done():
		case <-time.After(2 * time.Minute):
		}
		return
	}
	_, _ = w.Write(data)
}

// sendEndlessly sends the content and then anything, until the client or the registry ends.
func (r *Registry) sendEndlessly(w http.ResponseWriter, q *http.Request, data []byte) {
	for {
		if _, err := w.Write(data); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		data = make([]byte, 64<<10)
		select {
		case <-q.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
