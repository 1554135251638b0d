package gitlab_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
)

func start(t *testing.T, c gitlab.Certificate) *gitlab.Server {
	t.Helper()
	s, err := gitlab.StartWith(t.TempDir(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// client trusts only the server's own authority.
func client(t *testing.T, s *gitlab.Server) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) || string(pem) != s.CA {
		t.Fatalf("no certificate in %q", pem)
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func keys(t *testing.T, s *gitlab.Server, path string) jose.JSONWebKeySet {
	t.Helper()
	resp, err := client(t, s).Get(s.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(resp.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return set
}

var (
	job = fakerunner.Job{
		ID: 101, PipelineID: 42, Timeout: time.Hour, Project: fakerunner.Project{ID: 12, FullPath: "group/sub/project", NamespaceID: 3},
		Git: fakerunner.Git{Ref: "main", SHA: "abc", Protected: true},
	}
	alice = gitlab.User{ID: 7, Login: "alice", Email: "alice@example.org", Identities: [][2]string{{"ldap", "cn=alice"}}}
)

func TestTokenVerifiesWithThePublishedKeys(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	token, err := jose.ParseSignedCompact(s.Token(s.Claims(job, alice)), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/oauth/discovery/keys", "/-/jwks"} {
		set := keys(t, s, path)
		if len(set.Keys) != 2 {
			t.Errorf("%s: %d keys, want the login key and the CI key", path, len(set.Keys))
		}
		if _, err := token.Verify(set.Key(s.CI.ID)[0]); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if _, err := token.Verify(set.Key(s.Login.ID)[0]); err == nil {
			t.Errorf("%s: the login key verifies it too", path)
		}
	}
	if n := s.Keys.Requests(); n != 2 {
		t.Errorf("%d requests counted, want 2", n)
	}
}

func TestClaimsAsGitLabWritesThem(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	parts := strings.Split(s.Token(s.Claims(job, alice)), ".")
	payload := decode(t, parts[1])
	for name, want := range map[string]any{
		"job_id": "101", "project_id": "12", "job_project_id": "12", "user_id": "7", "pipeline_id": "42", "runner_id": 77.0,
		"ref_protected": "true", "user_login": "alice", "namespace_path": "group/sub", "iss": s.URL, "aud": s.URL,
	} {
		if payload[name] != want {
			t.Errorf("%s is %#v, want %#v", name, payload[name], want)
		}
	}
	if life := payload["exp"].(float64) - payload["iat"].(float64); life != 3600 {
		t.Errorf("it is valid for %v s, want the job's timeout", life)
	}
	if decode(t, parts[0])["kid"] != s.CI.ID {
		t.Errorf("header %v", decode(t, parts[0]))
	}
}

func decode(t *testing.T, part string) map[string]any {
	t.Helper()
	var out map[string]any
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestClaimsCanBeChanged(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	original := s.Claims(job, alice)
	changed := original.With("job_id", 5).Without("aud", "nbf")
	if original["job_id"] != "101" || original["aud"] == nil {
		t.Error("the original is changed as well")
	}
	if changed["job_id"] != 5 || changed["aud"] != nil || changed["nbf"] != nil {
		t.Errorf("%v", changed)
	}
	if login := s.LoginClaims(alice); login["job_id"] != nil || login["iss"] != s.URL {
		t.Errorf("login claims %v", login)
	}
}

func TestKeySetMisbehaves(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	tests := []struct {
		name   string
		answer http.Handler
		status int // 0 for no answer at all
		body   string
	}{
		{"500", gitlab.Status(500), 500, "Internal"},
		{"HTML", gitlab.HTML(), 200, "Sign in"},
		{"an empty set", gitlab.JSON(gitlab.Set()), 200, `{"keys":[]}`},
		{"a redirect", gitlab.Redirect("http://127.0.0.1:1/"), 302, ""},
		{"a closed connection", gitlab.HangUp(), 0, ""},
		{"much", gitlab.Huge(1 << 20), 200, strings.Repeat(" ", 1<<20)},
		{"much, compressed", gitlab.GzipBomb(1 << 20), 200, strings.Repeat(" ", 1<<20)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.Keys.Answer(tt.answer)
			defer s.Keys.Answer(nil)
			resp, err := client(t, s).Get(s.URL + "/-/jwks")
			if err != nil {
				if tt.status != 0 {
					t.Fatal(err)
				}
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.status || !strings.Contains(string(b), tt.body) {
				t.Errorf("status %d, %d bytes", resp.StatusCode, len(b))
			}
		})
	}
}

func TestSlowHeaders(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	s.Keys.Answer(s.SlowHeaders())
	c := client(t, s)
	c.Timeout = 300 * time.Millisecond
	if resp, err := c.Get(s.URL + "/-/jwks"); err == nil {
		resp.Body.Close()
		t.Error("a response arrived")
	}
}

func TestSlowBody(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	s.Keys.Answer(s.SlowBody())
	resp, err := client(t, s).Get(s.URL + "/-/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	began := time.Now()
	for range 4 {
		if n, err := resp.Body.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("four bytes arrived in %v, want one each 100 ms", took)
	}
}

func TestRotation(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	old := s.CI.ID
	if err := s.Keys.Rotate(); err != nil {
		t.Fatal(err)
	}
	set := keys(t, s, "/-/jwks")
	if s.CI.ID == old || len(set.Key(old)) != 0 || len(set.Key(s.CI.ID)) != 1 {
		t.Errorf("keys %v; the old one was %s, the new one is %s", set.Keys, old, s.CI.ID)
	}
}

func TestWrongCertificates(t *testing.T) {
	for name, c := range map[string]gitlab.Certificate{
		"expired": {Expired: true}, "of another name": {OtherName: true}, "of another authority": {OtherCA: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c)
			if resp, err := client(t, s).Get(s.URL + "/-/jwks"); err == nil {
				resp.Body.Close()
				t.Error("the certificate was accepted")
			}
		})
	}
}

func sourceRepo(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("bash", "-c", `set -e; cd "$0"; git init -q -b topic; echo content > file; git add file
git -c user.name=t -c user.email=t@t commit -q -m first`, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

func TestGitNeedsAnAdmittedToken(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	repo, err := s.AddRepository("group/project", sourceRepo(t))
	if err != nil {
		t.Fatal(err)
	}
	good := repo.Git("job-token").RepoURL
	for url, want := range map[string]bool{good: true, strings.Replace(good, "job-token", "other", 1): false, s.URL + "/group/project.git": false} {
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		defer stop()
		cmd := exec.CommandContext(ctx, "git", "-c", "http.sslCAInfo="+s.CAFile, "ls-remote", url)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0"}
		out, err := cmd.CombinedOutput()
		if (err == nil) != want {
			t.Errorf("%s: %v: %s", url, err, out)
		}
		if want && !strings.Contains(string(out), repo.SHA+"\trefs/heads/main") {
			t.Errorf("no main in %s", out)
		}
	}
}

// driver runs scripts as the caller's own user.
const driver = `bash <"$1"; code=$?; [ $code = 0 ] || { echo $code >"$BUILD_EXIT_CODE_FILE"; exit 1; }`

// TestWholeJob clones over https, and moves artifacts and a cache through the
// helper, between two jobs.
func TestWholeJob(t *testing.T) {
	s := start(t, gitlab.Certificate{})
	repo, err := s.AddRepository("group/project", sourceRepo(t))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "gitlab-runner"), "jacamar-ci/test/harness/fakerunner/gitlab-runner").CombinedOutput(); err != nil {
		t.Fatalf("cannot build the helper: %v: %s", err, out)
	}
	runner := &fakerunner.Runner{
		Custom:    fakerunner.Custom{Run: []string{"/bin/bash", "-c", driver, "driver"}},
		BuildsDir: t.TempDir(), CacheDir: t.TempDir(), ServerCA: s.CA, RetryPause: -1,
		Environ: []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()},
	}
	first := fakerunner.Job{
		ID: 101, Token: "tok1", ServerURL: s.URL, Project: job.Project, Git: repo.Git("tok1"),
		Script: []string{"cat file", "mkdir -p out/deep cached", "echo made > out/deep/a", "echo kept > cached/b"}, Cache: []fakerunner.Cache{{Key: "k", Paths: []string{"cached"}}},
		Artifacts: []fakerunner.Artifact{{Name: "result", Paths: []string{"out"}}},
	}
	r := runner.Run(first)
	if r.Outcome != fakerunner.Success || !strings.Contains(r.Trace, "content\n") {
		t.Fatalf("%s\n%s", r.Outcome, r.Trace)
	}
	z, err := zip.NewReader(bytes.NewReader(s.Artifacts(101)), int64(len(s.Artifacts(101))))
	if err != nil || len(z.File) != 1 || z.File[0].Name != "out/deep/a" {
		t.Fatalf("artifacts: %v", err)
	}
	second := first
	second.ID, second.Token, second.Git = 102, "tok2", repo.Git("tok2")
	second.Dependencies = []fakerunner.Dependency{{ID: 101, Name: "first", Token: "tok1"}}
	second.Script = []string{"cat out/deep/a cached/b"}
	second.Artifacts = nil
	r = runner.Run(second)
	if r.Outcome != fakerunner.Success || !strings.Contains(r.Trace, "made\nkept\n") {
		t.Errorf("%s\n%s", r.Outcome, r.Trace)
	}
	left, err := os.ReadDir(r.TempProjectDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if entry.Name() != "git-template" {
			t.Errorf("%s is left in the project's .tmp directory", entry.Name())
		}
	}
}
