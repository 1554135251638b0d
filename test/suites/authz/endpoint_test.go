package authz

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// TestKeyServerOfAnotherUser: H11, any local user can open a loopback port and serve keys
// of their own over http, with which they sign tokens of another user.
func TestKeyServerOfAnotherUser(t *testing.T) {
	for _, d := range site.Deployments() {
		if d.Name == "no-auth" {
			continue // it fetches no keys
		}
		t.Run(d.Name, func(t *testing.T) {
			var asked atomic.Int32
			impostor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				gitlab.JSON(gitlab.Set(foreign().JWK())).ServeHTTP(w, r)
			}))
			t.Cleanup(impostor.Close)
			s := d.Open(t, func(c site.Config) { c.Set("general", "jwks_url", impostor.URL+"/keys") })
			forged := func() fakerunner.Job {
				j := s.Job("id -un")
				return site.WithToken(j, gitlab.Sign(foreign().Header(), s.GitLab.Claims(j, s.User), gitlab.RS256(foreign())))
			}
			const reason = "any user of this machine can listen on port "
			r := s.Runner()
			r.Judge = nil // with this configuration, cleanup cannot succeed either
			stopped(t, s, r.Run(forged()), misconfigured)
			if n := asked.Load(); n != 0 {
				t.Errorf("the port got %d requests for keys", n)
			}
			if out, status := admin(t, s.Admin, "check", "--configuration", s.ConfigFile); status != 2 || !strings.Contains(out, "general.jwks_url: "+reason) {
				t.Errorf("check: status %d:\n%s", status, out)
			}
			// The key has the effect of its name.
			testutil.Must(t, s.Reconfigure(atAnyPort(impostor.URL+"/keys")))
			if r := s.Runner().Run(forged()); r.Outcome != fakerunner.Success {
				t.Errorf("with insecure_loopback_http the job ended as %s:\n%s", r.Outcome, output(r))
			}
			if out, _ := admin(t, s.Admin, "check", "--configuration", s.ConfigFile); !strings.Contains(out, "general.insecure_loopback_http: is true: any user of this machine") {
				t.Errorf("check:\n%s", out)
			}
		})
	}
}

// TestPortsOfRoot: H11, http is accepted where only root can listen on this machine.
func TestPortsOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it listens on a port under 1024")
	}
	t.Parallel()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.83.%d.%d:81", os.Getpid()>>8&0xff, os.Getpid()&0xff))
	testutil.Must(t, err)
	server := &http.Server{Handler: gitlab.JSON(gitlab.Set(common(t).GitLab.CI.JWK()))}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	s := keyless(t, func(c site.Config) { c.Set("general", "jwks_url", "http://"+listener.Addr().String()+"/keys") })
	ran(t, s, s.Runner().Run(s.Job("id -un")), "")

	// A machine without reserved ports, as container engines set it.
	other := keyless(t, func(c site.Config) { c.Set("general", "jwks_url", "http://"+listener.Addr().String()+"/keys") })
	free := []string{"/usr/bin/unshare", "--net", "sh", "-c", `echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start && exec "$@"`, "sh"}
	c, _ := once(t, other, free...)
	if c.Status != 2 || !strings.Contains(string(c.Stderr), misconfigured) {
		t.Errorf("status %d, %q", c.Status, c.Stderr)
	}
	if ends := events(t, other, "stage_end"); len(ends) != 1 || !strings.Contains(ends[0].Reason, "any user of this machine can listen on port 81") {
		t.Errorf("recorded %+v", ends)
	}
	r, status := check(t, other, free...)
	if bad := strings.Join(r.worse(t), "\n"); status != 2 || !strings.Contains(bad, "can listen on port 81") {
		t.Errorf("check: status %d:\n%s", status, bad)
	}
}

// connector is a web proxy (RFC 9110 section 9.3.6) that connects to one server, whatever
// name its clients use.
type connector struct {
	*httptest.Server
	connects atomic.Int32
	asked    atomic.Value // the last address
}

func connecting(t *testing.T, to string) *connector {
	t.Helper()
	p := &connector{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.connects.Add(1)
		p.asked.Store(r.Method + " " + r.Host)
		server, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, "no such server", http.StatusBadGateway)
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
	}))
	t.Cleanup(p.Close)
	return p
}

// TestProxy: H11, a GitLab that only the site's web proxy reaches; its certificate is
// verified through the proxy.
func TestProxy(t *testing.T) {
	t.Parallel()
	hidden, err := gitlab.StartWith(t.TempDir(), gitlab.Certificate{OtherName: true}) // elsewhere.test
	testutil.Must(t, err)
	t.Cleanup(func() { _ = hidden.Close() })
	impostor, err := gitlab.StartWith(t.TempDir(), gitlab.Certificate{OtherName: true})
	testutil.Must(t, err)
	t.Cleanup(func() { _ = impostor.Close() })
	open := func(t *testing.T, proxy string) (*site.Site, fakerunner.Job) {
		s := keyless(t)
		ca := filepath.Join(s.Dir, "hidden-ca.pem")
		testutil.Must(t, os.WriteFile(ca, []byte(hidden.CA), 0o644))
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			c.Set("auth", "logging", logging(s))
			c.Set("general", "jwks_url", "https://elsewhere.test/-/jwks")
			c.Set("general", "tls-ca-file", ca)
			if proxy != "" {
				c.Set("general", "https_proxy", proxy)
			}
		}))
		j := s.Job("id -un")
		return s, site.WithToken(j, gitlab.Sign(hidden.CI.Header(), s.GitLab.Claims(j, s.User), gitlab.RS256(hidden.CI)))
	}
	refused := func(t *testing.T, proxy, want string) {
		t.Helper()
		s, j := open(t, proxy)
		c, _ := onceOf(t, s, j)
		ends := events(t, s, "stage_end")
		if c.Status != 2 || !strings.Contains(string(c.Stderr), failed) || len(ends) != 1 || !strings.Contains(ends[0].Reason, want) {
			t.Errorf("status %d, %q, recorded %+v, want %q", c.Status, c.Stderr, ends, want)
		}
		if c.Duration > longest {
			t.Errorf("it took %v", c.Duration)
		}
	}
	address := strings.TrimPrefix(hidden.URL, "https://")
	t.Run("connects", func(t *testing.T) {
		p := connecting(t, address)
		s, j := open(t, p.URL)
		ran(t, s, s.Runner().Run(j), "")
		if n := p.connects.Load(); n != 1 || p.asked.Load() != "CONNECT elsewhere.test:443" {
			t.Errorf("the proxy got %d requests, for %v", n, p.asked.Load())
		}
		r, _ := check(t, s)
		if bad := strings.Join(r.worse(t), "\n"); strings.Contains(bad, "key server") || p.connects.Load() < 2 {
			t.Errorf("check, after %d requests: %s", p.connects.Load(), bad)
		}
	})
	t.Run("none", func(t *testing.T) { refused(t, "", "cannot fetch keys from https://elsewhere.test/-/jwks: ") })
	t.Run("nobody listens", func(t *testing.T) {
		refused(t, "http://127.0.0.1:1", "the proxy 127.0.0.1:1 cannot connect: connection refused")
	})
	t.Run("knows no such server", func(t *testing.T) {
		refused(t, connecting(t, "127.0.0.1:1").URL, "cannot connect: HTTP status 502")
	})
	t.Run("leads elsewhere", func(t *testing.T) {
		refused(t, connecting(t, strings.TrimPrefix(impostor.URL, "https://")).URL, "certificate")
		if n := impostor.Keys.Requests(); n != 0 {
			t.Errorf("%d requests reached another server", n)
		}
	})
}
