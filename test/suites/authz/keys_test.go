package authz

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// keyless is a site that has no keys yet.
func keyless(t *testing.T, change ...func(site.Config)) *site.Site {
	t.Helper()
	s := newSibling(t, append([]func(site.Config){func(c site.Config) { c.Set("general", "state_dir", nil) }}, change...)...)
	all := append([]func(site.Config){func(c site.Config) { c.Set("auth", "logging", logging(s)) }}, change...)
	testutil.Must(t, s.Reconfigure(all...)) // with the state directory of its own
	return s
}

// served makes a site fetch its keys from h.
func served(t *testing.T, h http.Handler) *site.Site {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return keyless(t, atAnyPort(server.URL+"/keys"))
}

// atAnyPort accepts keys over http from a port that is not reserved for root.
func atAnyPort(url string) func(site.Config) {
	return func(c site.Config) {
		c.Set("general", "jwks_url", url)
		c.Set("general", "insecure_loopback_http", true)
	}
}

// once calls the config stage a single time and returns it with its peak memory.
// The arguments of prefix come before the driver's command line.
func once(t *testing.T, s *site.Site, prefix ...string) (fakerunner.Call, int64) {
	t.Helper()
	return onceOf(t, s, s.Job("id -un"), prefix...)
}

// onceOf is once for a job of the caller's.
func onceOf(t *testing.T, s *site.Site, j fakerunner.Job, prefix ...string) (fakerunner.Call, int64) {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/bin/time": "time"})
	dir, err := os.MkdirTemp(s.Dir, "runner")
	testutil.Must(t, err)
	response := filepath.Join(dir, "response.json")
	testutil.Must(t, os.WriteFile(response, j.Response(), 0o600))
	// The peak that the kernel reports for a child of this process includes the peak of
	// this process: time(1) starts the driver from a small one.
	peak := filepath.Join(dir, "peak")
	argv := append([]string{"/usr/bin/time", "--quiet", "-f", "%M", "-o", peak}, prefix...)
	argv = append(argv, s.Auth, "config", "--configuration", s.ConfigFile)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"JOB_RESPONSE_FILE=" + response, "BUILD_FAILURE_EXIT_CODE=1", "SYSTEM_FAILURE_EXIT_CODE=2"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err = cmd.Run()
	c := fakerunner.Call{Stage: "config", Duration: time.Since(begin), Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Err: err}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	c.Status = cmd.ProcessState.ExitCode()
	kib, err := os.ReadFile(peak)
	testutil.Must(t, err)
	n, err := strconv.ParseInt(strings.TrimSpace(string(kib)), 10, 64)
	testutil.Must(t, err)
	return c, n << 10
}

// The limits for a malicious key server.
const (
	longest = 25 * time.Second
	largest = 64 << 20
)

// refusesKeys checks that a config stage fails soon, with little memory and in one line.
func refusesKeys(t *testing.T, s *site.Site, want string) {
	t.Helper()
	c, memory := once(t, s)
	if c.Status != 2 || len(c.Stdout) != 0 || !strings.HasPrefix(string(c.Stderr), "\x1b[31;1mjacamar: "+failed) {
		t.Errorf("status %d, %q, %q", c.Status, c.Stdout, c.Stderr)
	}
	if c.Duration > longest || memory > largest {
		t.Errorf("it took %v and %d bytes", c.Duration, memory)
	}
	ends := events(t, s, "stage_end")
	if len(ends) != 1 || !strings.Contains(ends[0].Reason, want) || ends[0].Exit != "system" {
		t.Errorf("recorded %+v, want the reason %q", ends, want)
	}
}

// weak is a key set with a changed entry for the CI key.
func weak(change func(jwk map[string]any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		jwk := base.site.GitLab.CI.JWK()
		change(jwk)
		gitlab.JSON(gitlab.Set(jwk)).ServeHTTP(w, r)
	})
}

func ecJWK(k *ecdsa.PrivateKey) map[string]any {
	point, err := k.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	return map[string]any{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}
}

// TestKeyServer: H11.
func TestKeyServer(t *testing.T) {
	t.Parallel()
	b := common(t)
	elsewhere := httptest.NewServer(gitlab.JSON(gitlab.Set(b.GitLab.CI.JWK())))
	t.Cleanup(elsewhere.Close)
	short, err := gitlab.NewKey(1024)
	testutil.Must(t, err)
	kid := b.GitLab.CI.ID
	for _, tc := range []struct {
		name    string
		handler http.Handler
		want    string
	}{
		{"H11 hangs up", gitlab.HangUp(), "EOF"},
		{"H11 500", gitlab.Status(500), "status 500"},
		{"H11 503", gitlab.Status(503), "status 503"},
		{"H11 404", gitlab.Status(404), "status 404"},
		{"H11 204", gitlab.Status(204), "status 204"},
		{"H11 401", gitlab.Status(401), "status 401"},
		{"H11 slow headers", b.GitLab.SlowHeaders(), "timed out"},
		{"H11 slow body", b.GitLab.SlowBody(), "timed out"},
		{"H11 1 GiB", gitlab.Huge(1 << 30), "more than 262144 bytes"},
		{"H11 gzip bomb", gitlab.GzipBomb(1 << 30), "compressed"},
		{"H11 HTML login page", gitlab.HTML(), "not JSON"},
		{"H11 redirect to another host", gitlab.Redirect(elsewhere.URL + "/keys"), "redirect to"},
		{"H11 redirect to a file", gitlab.Redirect("file:///etc/passwd"), "redirect to"},
		{"H11 not JSON", gitlab.JSON([]byte("keys")), "not one JSON object"},
		{"H11 empty body", gitlab.JSON(nil), "not one JSON object"},
		{"H11 a list", gitlab.JSON([]byte("[]")), "not one JSON object"},
		{"H11 two documents", gitlab.JSON([]byte(`{"keys":[]}{"keys":[]}`)), "not one JSON object"},
		{"H11 keys twice", gitlab.JSON([]byte(`{"keys":[],"keys":[]}`)), "not one JSON object"},
		{"H11 empty set", gitlab.JSON(gitlab.Set()), "no RSA signing key"},
		{"H11 set without keys", gitlab.JSON([]byte(`{}`)), "no"},
		{"H11 two keys of one id", gitlab.JSON(gitlab.Set(b.GitLab.CI.JWK(), b.GitLab.CI.JWK())), "two keys"},
		{"H11 EC key only", gitlab.JSON(gitlab.Set(withKid(ecJWK(p256()), kid))), "no RSA signing key"},
		{"H11 symmetric key only", gitlab.JSON(gitlab.Set(map[string]any{"kty": "oct", "kid": kid, "alg": "HS256", "k": "c2VjcmV0"})), "no RSA signing key"},
		{"H11 1024 bits", gitlab.JSON(gitlab.Set(withKid(short.JWK(), kid))), "1024 bits"},
		{"H11 512 bits", weak(func(jwk map[string]any) {
			jwk["n"] = base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xc5}, 64))
		}), "512 bits"},
		{"H11 exponent 1", weak(func(jwk map[string]any) { jwk["e"] = "AQ" }), "key 1 of the key set"},
		{"H11 exponent even", weak(func(jwk map[string]any) { jwk["e"] = "AQAA" }), "exponent"},
		{"H11 exponent 3", weak(func(jwk map[string]any) { jwk["e"] = "Aw" }), "exponent"},
		{"H11 for encryption", weak(func(jwk map[string]any) { jwk["use"] = "enc" }), "no RSA signing key"},
		{"H11 private key", weak(func(jwk map[string]any) { jwk["d"] = "AQAB" }), "key 1 of the key set"},
		{"H11 a thousand keys", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var many []map[string]any
			for i := range 200 {
				many = append(many, map[string]any{"kty": "RSA", "kid": fmt.Sprint(i), "n": "AQAB", "e": "AQAB"})
			}
			gitlab.JSON(gitlab.Set(many...)).ServeHTTP(w, r)
		}), "more than 64 keys"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			refusesKeys(t, served(t, tc.handler), tc.want)
		})
	}
	t.Run("H11 down", func(t *testing.T) {
		t.Parallel()
		refusesKeys(t, keyless(t, func(c site.Config) { c.Set("general", "jwks_url", "http://127.0.0.1:1/keys") }), "connection refused")
	})
	t.Run("H11 without the token's key", func(t *testing.T) {
		t.Parallel()
		s := served(t, gitlab.JSON(gitlab.Set(foreign().JWK())))
		attempt{rule: "token: key"}.judge(t, s, s.Runner().Run(s.Job("id -un")))
	})
}

func withKid(jwk map[string]any, kid string) map[string]any {
	jwk["kid"] = kid
	return jwk
}

// TestCertificate: H11, the site's own authority must have certified the server's name.
func TestCertificate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]gitlab.Certificate{
		"H11 expired certificate": {Expired: true}, "H11 certificate of another host": {OtherName: true}, "H11 certificate of another authority": {OtherCA: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			server, err := gitlab.StartWith(dir, tc)
			testutil.Must(t, err)
			t.Cleanup(func() { _ = server.Close() })
			s := keyless(t)
			ca := filepath.Join(s.Dir, "other-ca.pem")
			testutil.Must(t, os.WriteFile(ca, []byte(server.CA), 0o644))
			testutil.Must(t, s.Reconfigure(func(c site.Config) {
				c.Set("auth", "logging", logging(s))
				c.Set("general", "jwks_url", server.URL+"/-/jwks")
				c.Set("general", "tls-ca-file", ca)
			}))
			refusesKeys(t, s, "certificate")
			if n := server.Keys.Requests(); n != 0 {
				t.Errorf("%d requests reached the server", n)
			}
		})
	}
}
