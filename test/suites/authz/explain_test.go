package authz

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// files of a job that an administrator has after it.
type evidence struct{ token, response, claims string }

func keep(t *testing.T, s *site.Site, j fakerunner.Job) evidence {
	t.Helper()
	e := evidence{filepath.Join(s.Dir, "token"), filepath.Join(s.Dir, "response.json"), filepath.Join(s.Dir, "claims.json")}
	testutil.Must(t, os.WriteFile(e.token, []byte(token(j)+"\n"), 0o600))
	testutil.Must(t, os.WriteFile(e.response, j.Response(), 0o600))
	if parts := strings.Split(token(j), "."); len(parts) == 3 {
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		testutil.Must(t, err)
		testutil.Must(t, os.WriteFile(e.claims, claims, 0o600))
	}
	return e
}

// TestExplain: the steps of the decision, for jobs that run and that do not.
func TestExplain(t *testing.T) {
	t.Parallel()
	expiredToken := claimed(func(c gitlab.Claims) gitlab.Claims {
		now := time.Now().Unix()
		return c.With("iat", now-7200).With("nbf", now-7200).With("exp", now-3600)
	})
	for _, tc := range []struct {
		name   string
		change func(*site.Site, site.Config)
		job    func(*site.Site) fakerunner.Job
		claims bool
		flags  []string
		// root is for the differences where jobs run as the service account itself.
		root   bool
		status int
		want   []string
		absent []string
	}{
		{name: "allowed", want: []string{"Decision the job may run", "By default", "Account @ (uid "}},
		{name: "allowed, claims alone", claims: true, want: []string{"token: signature skipped", "Decision the job may run"}},
		{name: "refused by the token", job: with("aud", "x"), status: 1, want: []string{"token: audience deny the token has", "token: expired skipped not looked at", "By token: audience", "Account @"}},
		{name: "expired long ago", job: expiredToken, status: 1, want: []string{"token: expired deny expired 1h0m0s ago", "min_uid ok", "Account @"}},
		{name: "refused by a list", change: auth("user_blocklist", names{"x"}, "user_allowlist", names{}), status: 1, want: []string{"no_allowlist_match", "By no_allowlist_match"}},
		{name: "image", change: images, flags: []string{"--image", "busybox"}, want: []string{"image ok docker.io/library/busybox:latest (pull policy if-not-present); [[container.rule]] number 1", "Decision the job may run"}},
		{name: "refused image", change: images, flags: []string{"--image", "other:1"}, status: 1, want: []string{"image deny the image docker.io/library/other:1 is not allowed", "By image"}},
		{name: "modules", change: images, flags: []string{"--image", "busybox", "--modules", "mpi"}, want: []string{"[[container.rule]] number 1", "; modules gpu, mpi"}},
		{name: "no such module", change: images, flags: []string{"--image", "busybox", "--modules", "nope"}, status: 1, want: []string{"image deny the job names the container module \"nope\"", "By image"}},
		{name: "no image", change: images, want: []string{"image ok no image is named"}},
		{name: "no containers", flags: []string{"--image", "busybox"}, want: []string{"image skipped general.run_mechanism is not set"}},
		{name: "no token at all", job: func(s *site.Site) fakerunner.Job { return site.WithToken(s.Job("true"), "x.y") }, status: 1, want: []string{"token: form deny"}, absent: []string{"min_uid"}},
		{name: "forged", job: respelled(tampered), status: 1, want: []string{"token: signature deny"}},
		{name: "unknown account", root: true, job: with("user_login", "jci-no-such-user"), status: 1, want: []string{"account_unknown deny there is no local account jci-no-such-user"}},
		{name: "a login that is no name", job: with("user_login", "a;b"), status: 1, want: []string{"account_source deny"}},
		{name: "broken configuration", change: auth("no_such", true), status: 2, want: []string{"unknown key"}, absent: []string{"Decision"}},
		{name: "RunAs, not asked", change: validated("exit 1"), want: []string{"runas skipped ", "--runas asks it now", "the job may run"}},
		{name: "RunAs, asked and accepted", change: validated("true"), flags: []string{"--runas"}, want: []string{"runas ok", "the job may run"}},
		{name: "RunAs, asked and refused", change: validated("exit 1"), flags: []string{"--runas"}, status: 1, want: []string{"runas deny", "By runas"}},
		{name: "RunAs, names root", root: true, change: validated(answer("root")), flags: []string{"--runas"}, status: 1, want: []string{"By root"}},
		{name: "RunAs, with a target", root: true, change: validated(`[ "$1 $2" = "root ` + common(t).User.Login + `" ]`), flags: []string{"--runas", "--target", "root"}, status: 1, want: []string{"runas ok", "By root"}},
		{name: "RunAs, with a target that is none", change: validated("true"), flags: []string{"--runas", "--target", "a/b"}, status: 1, want: []string{"runas deny"}},
		{name: "RunAs, lists before", change: both(validated("true"), auth("lists_pre_validation", true, "user_allowlist", names{})), flags: []string{"--runas"}, status: 1, want: []string{"By no_allowlist_match"}, absent: []string{"runas "}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.root && os.Geteuid() != 0 {
				t.Skip("needs root: an ordinary user's jobs run as that user")
			}
			s := newSibling(t)
			reconfigure(t, s, tc.change)
			prime(t)
			j := s.Job("true")
			if tc.job != nil {
				j = tc.job(s)
			}
			e := keep(t, s, j)
			argv := []string{s.Admin, "explain", "--configuration", s.ConfigFile, "--token", e.token, "--job-response", e.response}
			if tc.claims {
				argv = []string{s.Admin, "explain", "--configuration", s.ConfigFile, "--claims", e.claims}
			}
			out, status := admin(t, append(argv, tc.flags...)...)
			words := oneSpace(out)
			if status != tc.status {
				t.Errorf("status %d, want %d", status, tc.status)
			}
			for _, want := range tc.want {
				if want = strings.ReplaceAll(want, "@", s.Account.Name); !strings.Contains(words, want) {
					t.Errorf("no %q", want)
				}
			}
			for _, not := range tc.absent {
				if strings.Contains(words, not) {
					t.Errorf("there is %q", not)
				}
			}
			if m := shows([]byte(out), marks(token(j)+strings.Repeat(" ", 24))); m != "" && len(token(j)) > 24 {
				t.Errorf("it shows %q", m)
			}
			if !slices.Contains(tc.flags, "--runas") {
				called()(t, s, fakerunner.Result{})
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// oneSpace removes the alignment of a table.
func oneSpace(text string) string {
	for strings.Contains(text, "  ") {
		text = strings.ReplaceAll(text, "  ", " ")
	}
	return text
}

// prime makes the common site cache its keys.
func prime(t *testing.T) {
	t.Helper()
	if files, _ := filepath.Glob(filepath.Join(common(t).StateDir, "keys-*.json")); len(files) == 0 {
		once(t, newSibling(t))
	}
}

// TestExplainWithoutGitLab: with cached keys, and without any.
func TestExplainWithoutGitLab(t *testing.T) {
	t.Parallel()
	s := keyless(t, func(c site.Config) { c.Set("general", "jwks_url", "http://127.0.0.1:1/keys") })
	e := keep(t, s, s.Job("true"))
	out, status := admin(t, s.Admin, "explain", "--configuration", s.ConfigFile, "--token", e.token, "--job-response", e.response)
	if status != 1 || !strings.Contains(oneSpace(out), "token: key deny cannot verify a token") || !strings.Contains(oneSpace(out), "Account "+s.Account.Name) {
		t.Errorf("status %d:\n%s", status, out)
	}
	out, status = admin(t, s.Admin, "explain", "--configuration", s.ConfigFile, "--claims", e.claims)
	if status != 0 {
		t.Errorf("status %d:\n%s", status, out)
	}
	if files, _ := filepath.Glob(filepath.Join(s.StateDir, "*")); len(files) != 0 {
		t.Errorf("explain cached %v", files)
	}
}

// images is a site with containers and a rule for images.
func images(_ *site.Site, c site.Config) {
	c.Set("general", "run_mechanism", "podman")
	c.Set("container", "module", []site.Table{{"name": "gpu", "podman": []string{"--device=x"}}, {"name": "mpi", "binds": []string{"/opt/mpi"}}})
	c.Set("container", "rule", []site.Table{{"images": []string{"docker.io/library/busybox"}, "modules": []string{"gpu"}}})
}
