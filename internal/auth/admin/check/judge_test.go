package check

import (
	"cmp"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// found compares results and a part of each text; every finding that is not ok
// must have its fix.
func found(t *testing.T, got []Line, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %q", got, want)
	}
	for i, w := range want {
		result, text, _ := strings.Cut(w, " ")
		if string(got[i].Result) != result || !strings.Contains(got[i].Text, text) {
			t.Errorf("line %d is %+v, want %q", i, got[i], w)
		}
		if (got[i].Result == OK || got[i].Result == Skip) != (got[i].Fix == "") {
			t.Errorf("the fix of %+v", got[i])
		}
	}
}

const keyDay = 24 * time.Hour

// keySite uses keys for a day, and while the server is away for a week.
func keySite(t *testing.T) Site {
	s := Site{Config: &config.Config{}, File: testutil.AbsPath(t, UsualConfiguration), Auth: testutil.AbsPath(t, "/opt/jacamar/bin/jacamar-auth")}
	s.Config.General.JWKSMaxAge, s.Config.General.JWKSStaleMax = keyDay, 7*keyDay
	return s
}

func TestJudgeServer(t *testing.T) {
	down := errors.New("cannot fetch keys")
	good := idtoken.Probe{URL: "https://x/keys", Connected: true, Secured: true, SkewKnown: true, Keys: 2, CachedKeys: 2, CachedAge: time.Hour}
	for name, tc := range map[string]struct {
		change func(*idtoken.Probe)
		want   []string
	}{
		"all well":            {func(*idtoken.Probe) {}, []string{"ok offers 2 keys", "ok agree", "ok 2 keys cached"}},
		"no Date":             {func(p *idtoken.Probe) { p.SkewKnown = false }, []string{"ok offers", "ok cached"}},
		"other keys kept":     {func(p *idtoken.Probe) { p.NoneOffered = true }, []string{"ok offers 2 keys", "warn none of the cached keys", "ok agree", "ok cached"}},
		"nothing kept yet":    {func(p *idtoken.Probe) { p.CacheErr = fs.ErrNotExist }, []string{"ok offers", "ok agree", "ok the first job fetches them"}},
		"damaged keys":        {func(p *idtoken.Probe) { p.CacheErr = errors.New("damaged") }, []string{"ok offers", "ok agree"}},
		"old keys, server up": {func(p *idtoken.Probe) { p.CachedAge = 2 * keyDay }, []string{"ok offers", "ok agree", "ok cached"}},
		"down, keys kept":     {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, CachedKeys: 2, CachedAge: time.Hour} }, []string{"fail cannot fetch", "ok cached"}},
		"down, keys old":      {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, CachedKeys: 2, CachedAge: 2 * keyDay} }, []string{"fail cannot fetch", "warn they are used until 168h"}},
		"down, keys too old":  {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, CachedKeys: 2, CachedAge: 8 * keyDay} }, []string{"fail cannot fetch", "warn no longer used"}},
		"down, nothing kept":  {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, CacheErr: fs.ErrNotExist} }, []string{"fail cannot fetch", "fail no job can run"}},
		"foreign certificate": {func(p *idtoken.Probe) { p.Secured, p.Err = false, down }, []string{"fail cannot fetch", "ok agree", "ok cached"}},
		"useless answer":      {func(p *idtoken.Probe) { p.Err = down }, []string{"fail cannot fetch", "ok agree", "ok cached"}},
		"a minute apart":      {func(p *idtoken.Probe) { p.Skew = -time.Minute }, []string{"ok offers", "warn differ by 1m0s", "ok cached"}},
		"ten seconds apart":   {func(p *idtoken.Probe) { p.Skew = 10 * time.Second }, []string{"ok offers", "ok agree", "ok cached"}},
		"over a minute apart": {func(p *idtoken.Probe) { p.Skew = 61 * time.Second }, []string{"ok offers", "fail differ by 1m1s", "ok cached"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			tc.change(&p)
			found(t, keySite(t).judgeServer(p), tc.want...)
		})
	}
}

// TestServerFixes: each kind of failure has its own fix.
func TestServerFixes(t *testing.T) {
	down := errors.New("x")
	for want, p := range map[string]idtoken.Probe{
		"check that GitLab is up": {URL: "https://x", Err: down},
		"tls-ca-file":             {URL: "https://x", Connected: true, Err: down},
		"jwks_url":                {URL: "http://127.0.0.1", Connected: true, Err: down},
	} {
		if got := keySite(t).judgeServer(p)[0].Fix; !strings.Contains(got, want) {
			t.Errorf("%+v: %q", p, got)
		}
	}
}

func TestJudgeDataDir(t *testing.T) {
	setuid, none := settings.Setuid, settings.None
	for name, tc := range map[string]struct {
		mode  fs.FileMode
		root  bool // root_dir_creation
		scope settings.Downscope
		want  []string
	}{
		"for all":               {0o777 | fs.ModeSticky, false, setuid, []string{"warn can make the directory of another account"}},
		"for a group":           {0o775 | fs.ModeSticky, false, setuid, []string{"warn can make the directory of another account"}},
		"for a group alone":     {0o770 | fs.ModeSticky, false, setuid, []string{"warn only the members of its group", "warn can make the directory of another account"}},
		"one for each":          {0o755, false, setuid, []string{"warn without a directory of their own"}},
		"made by root":          {0o755, true, setuid, nil},
		"root without the ids":  {0o755, true, settings.Sudo, []string{"warn without a directory of their own"}},
		"all jobs are one's":    {0o755, false, none, nil},
		"closed":                {0o700, true, setuid, []string{"fail cannot enter"}},
		"closed, for one":       {0o711, true, setuid, nil},
		"open for a group only": {0o750, true, setuid, []string{"warn only the members of its group can enter"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := Site{Config: &config.Config{}}
			s.Config.Auth.RootDirCreation, s.Config.Auth.Downscope = tc.root, tc.scope
			found(t, s.judgeDataDir("/data", tc.mode), tc.want...)
		})
	}
}

// TestDataDirectoryIsJudged by the rules of the deployment: whose directories may be
// there.
func TestDataDirectoryIsJudged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives directories to another account")
	}
	const service, other = 4242, 4243
	for name, tc := range map[string]struct {
		owner int
		mode  fs.FileMode
		root  bool
		scope settings.Downscope
		want  []string
	}{
		"root's, sticky":              {0, 0o777 | fs.ModeSticky, false, settings.Setuid, []string{"warn can make"}},
		"root's, sticky, made by it":  {0, 0o777 | fs.ModeSticky, true, settings.Setuid, []string{"fail is writable by group and others (mode 1777)"}},
		"made by root":                {0, 0o755, true, settings.Setuid, []string{"ok by all accounts"}},
		"not sticky":                  {0, 0o777, false, settings.Setuid, []string{"fail is writable by group and others (mode 0777)"}},
		"writable by group":           {0, 0o775 | fs.ModeSetgid, false, settings.Setuid, []string{"fail is writable by group (mode 2775)"}},
		"the service account's":       {service, 0o755, false, settings.Setuid, []string{"fail is owned by uid 4242"}},
		"the service account's, none": {service, 0o755, false, settings.None, []string{"ok by all accounts"}},
		"another's, sticky":           {other, 0o777 | fs.ModeSticky, false, settings.Setuid, []string{"fail is owned by uid 4243", "fail is writable"}},
	} {
		t.Run(name, func(t *testing.T) {
			must := func(errs ...error) {
				if err := errors.Join(errs...); err != nil {
					t.Fatal(err)
				}
			}
			must(os.MkdirAll("/srv", 0o755))
			dir, err := os.MkdirTemp("/srv", "check-test-")
			must(err)
			t.Cleanup(func() { os.RemoveAll(dir) })
			must(os.Chown(dir, tc.owner, -1), os.Chmod(dir, tc.mode))
			s := Site{UID: service, Config: &config.Config{}}
			s.Config.Auth.RootDirCreation, s.Config.Auth.Downscope = tc.root, tc.scope
			must(s.Config.General.DataDir.UnmarshalText([]byte(dir)))
			found(t, dataDirectory(t.Context(), s), tc.want...)
		})
	}
}

// TestNoAdviceOpensAHole: a directory that all can write is never recommended, nor a command that
// follows a link there.
func TestNoAdviceOpensAHole(t *testing.T) {
	for _, mode := range []fs.FileMode{0o700, 0o711, 0o750, 0o755, 0o770, 0o775, 0o777, 0o777 | fs.ModeSticky} {
		for _, uid := range []job.UID{0, 7} {
			s := Site{UID: uid, Config: &config.Config{}}
			s.Config.Auth.Downscope = settings.Setuid
			for _, l := range s.judgeDataDir("/data", mode) {
				if strings.Contains(l.Fix, "777") || strings.Contains(l.Fix, "+t") || strings.Contains(l.Fix, "o+w") || strings.Contains(l.Fix, "install -d") {
					t.Errorf("mode %v: %+v", mode, l)
				}
			}
		}
	}
}

func program(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestDataDirectory(t *testing.T) {
	for text, want := range map[string]string{
		"$HOME": "ok jobs live in $HOME", "~/ci": "ok jobs live in $HOME/ci", "/nonexistent/x": "fail does not exist", "/etc/passwd": "fail is not a directory",
	} {
		site := Site{Config: &config.Config{}}
		if err := site.Config.General.DataDir.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		found(t, dataDirectory(t.Context(), site), want)
	}
}

func TestParentOf(t *testing.T) {
	dir := t.TempDir()
	found(t, Site{}.parentOf(testutil.AbsPath(t, dir+"/new")), "ok will be made")
	found(t, Site{}.parentOf(testutil.AbsPath(t, dir+"/a/b")), "fail neither")
	found(t, Site{Helper: account.Helper{Required: true}}.parentOf(testutil.AbsPath(t, dir+"/new")), "fail is missing")
}

// TestJudgeIssuer: the spelling of the server's address is in every token.
func TestJudgeIssuer(t *testing.T) {
	for name, tc := range map[string]struct {
		server, issuer, published string
		want                      []string
		fix                       string
	}{
		"the same":          {"https://gitlab.example.com", "", "https://gitlab.example.com", nil, ""},
		"not published":     {"https://gitlab.example.com", "", "", nil, ""},
		"upper case":        {"https://GitLab.example.com", "", "https://gitlab.example.com", []string{"fail every job is refused"}, `gitlab_server = "https://gitlab.example.com"`},
		"the default port":  {"https://gitlab.example.com:443", "", "https://gitlab.example.com", []string{"fail every job is refused"}, `gitlab_server = "https://gitlab.example.com"`},
		"an internal name":  {"https://gitlab.internal", "", "https://gitlab.example.com", []string{"fail every job is refused"}, `jwt_issuer = "https://gitlab.example.com"`},
		"no address":        {"https://gitlab.example.com", "", "%zz://", []string{"fail every job is refused"}, "jwt_issuer = "},
		"set and different": {"https://gitlab.example.com", "https://other.example.com", "https://gitlab.example.com", []string{"fail every job is refused"}, `jwt_issuer = "https://gitlab.example.com"`},
	} {
		s := keySite(t)
		u, err := url.Parse(tc.server)
		if err != nil {
			t.Fatal(err)
		}
		s.Config.General.GitLabServer, s.Config.General.JWTIssuer = u, cmp.Or(tc.issuer, tc.server)
		got := s.judgeIssuer(tc.published)
		found(t, got, tc.want...)
		if len(got) > 0 && !strings.Contains(got[0].Fix, tc.fix) {
			t.Errorf("%s: %q", name, got[0].Fix)
		}
	}
}

func TestUnsuitable(t *testing.T) {
	found(t, unsuitable("/scratch/ci", []string{"rw"}))
	found(t, unsuitable("/scratch/ci", []string{"rw", "noexec"}), "warn noexec")
	found(t, unsuitable("/tmp/ci", nil), "warn temporary")
	found(t, unsuitable("/tmpfs/ci", nil))
}
