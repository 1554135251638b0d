package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
)

func entries(t *testing.T, b Blob) map[string]int {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b.Data))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found[h.Name]++
	}
}

// Podman refuses a layer that has a path twice.
func TestPackHasEachPathOnce(t *testing.T) {
	p, err := Image{Name: "a/b:1", Layers: [][]File{{
		{Path: "d/e/", Mode: 0o755}, {Path: "d/e/f", Mode: 0o644, Data: []byte("x")}, {Path: "d/g", Mode: 0o777, Link: "/d/e/f"},
	}}}.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range entries(t, p.Blobs[0]) {
		if n != 1 {
			t.Errorf("%s is there %d times", name, n)
		}
	}
	if p.Repository() != "a/b" || p.Tag() != "1" {
		t.Errorf("%q %q", p.Repository(), p.Tag())
	}
}

func TestRegistryServesAndFails(t *testing.T) {
	p, err := Image{Name: "a:1", Layers: [][]File{{{Path: "f", Mode: 0o644, Data: []byte("text")}}}}.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Serve(t.TempDir(), []Packed{p})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	client := clientOf(t, r.CAFile)
	for f, status := range map[Fault]int{"": 200, Unauthorized: 401, Forbidden: 403, Throttled: 429, Broken: 500} {
		r.Copy(p, "copy", f)
		if got := get(t, client, "https://"+r.Host+"/v2/copy/manifests/1"); got != status {
			t.Errorf("%q: status %d, want %d", f, got, status)
		}
	}
	r.Copy(p, "cut", Cut)
	answer, err := client.Get("https://" + r.Host + "/v2/cut/blobs/" + p.Blobs[0].Digest)
	if err == nil {
		_, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	if err == nil {
		t.Error("a cut layer arrived")
	}
	r.Private("a")
	if got := get(t, client, "https://"+r.Host+"/v2/a/manifests/1"); got != 401 {
		t.Errorf("private without the login: %d", got)
	}
	if n := r.Requests("GET", "/v2/copy/manifests/1"); n != 5 {
		t.Errorf("%d requests are recorded, want 5", n)
	}
}

func clientOf(t *testing.T, caFile string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func get(t *testing.T, c *http.Client, address string) int {
	t.Helper()
	answer, err := c.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
