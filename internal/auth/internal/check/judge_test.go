package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
)

// found compares results and a part of each text; every finding that is not ok
// must have its mend.
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
		if (got[i].Result == OK) != (got[i].Mend == "") {
			t.Errorf("the mend of %+v", got[i])
		}
	}
}

func TestJudgeServer(t *testing.T) {
	const day = 24 * time.Hour
	down := errors.New("cannot fetch keys")
	good := idtoken.Probe{URL: "https://x/keys", Connected: true, Secured: true, SkewKnown: true, Keys: 2, KeptKeys: 2, KeptAge: time.Hour}
	for name, tc := range map[string]struct {
		change func(*idtoken.Probe)
		want   []string
	}{
		"all well":            {func(*idtoken.Probe) {}, []string{"ok offers 2 keys", "ok agree", "ok 2 keys are kept"}},
		"no Date":             {func(p *idtoken.Probe) { p.SkewKnown = false }, []string{"ok offers", "ok kept"}},
		"nothing kept yet":    {func(p *idtoken.Probe) { p.KeptErr = fs.ErrNotExist }, []string{"ok offers", "ok agree", "ok the first job fetches them"}},
		"old keys, server up": {func(p *idtoken.Probe) { p.KeptAge = 2 * day }, []string{"ok offers", "ok agree", "ok kept"}},
		"down, keys kept":     {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, KeptKeys: 2, KeptAge: time.Hour} }, []string{"fail cannot fetch", "ok kept"}},
		"down, keys old":      {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, KeptKeys: 2, KeptAge: 2 * day} }, []string{"fail cannot fetch", "warn they serve until 168h"}},
		"down, keys too old":  {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, KeptKeys: 2, KeptAge: 8 * day} }, []string{"fail cannot fetch", "warn of no use"}},
		"down, nothing kept":  {func(p *idtoken.Probe) { *p = idtoken.Probe{Err: down, KeptErr: fs.ErrNotExist} }, []string{"fail cannot fetch", "fail no job can run"}},
		"foreign certificate": {func(p *idtoken.Probe) { p.Secured, p.Err = false, down }, []string{"fail cannot fetch", "ok agree", "ok kept"}},
		"useless answer":      {func(p *idtoken.Probe) { p.Err = down }, []string{"fail cannot fetch", "ok agree", "ok kept"}},
		"a minute apart":      {func(p *idtoken.Probe) { p.Skew = -time.Minute }, []string{"ok offers", "warn 1m0s apart", "ok kept"}},
		"ten seconds apart":   {func(p *idtoken.Probe) { p.Skew = 10 * time.Second }, []string{"ok offers", "ok agree", "ok kept"}},
		"over a minute apart": {func(p *idtoken.Probe) { p.Skew = 61 * time.Second }, []string{"ok offers", "fail 1m1s apart", "ok kept"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := good
			tc.change(&p)
			found(t, judgeServer(p, day, 7*day), tc.want...)
		})
	}
}

// TestServerMends: each kind of failure has its own mend.
func TestServerMends(t *testing.T) {
	down := errors.New("x")
	for want, p := range map[string]idtoken.Probe{
		"see that GitLab is up": {URL: "https://x", Err: down},
		"tls-ca-file":           {URL: "https://x", Connected: true, Err: down},
		"jwks_url":              {URL: "http://127.0.0.1", Connected: true, Err: down},
	} {
		if got := judgeServer(p, 1, 1)[0].Mend; !strings.Contains(got, want) {
			t.Errorf("%+v: %q", p, got)
		}
	}
}

func TestJudgeMap(t *testing.T) {
	found(t, judgeMap("         0          0 4294967295\n"), "ok machine's own")
	found(t, judgeMap("         0       1000          1\n"), "fail user namespace")
	found(t, judgeMap(""), "fail user namespace")
}

func TestJudgeDataDir(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		mode  fs.FileMode
		owner int
		want  []string
	}{
		"for all":            {0o777 | fs.ModeSticky, 0, nil},
		"one for each":       {0o755, 0, []string{"warn without a directory of their own"}},
		"not sticky":         {0o777, 0, []string{"fail could replace"}},
		"writable by group":  {0o775, 0, []string{"fail could replace"}},
		"closed":             {0o700, 0, []string{"fail cannot enter"}},
		"another's":          {0o777 | fs.ModeSticky, 4242, []string{"fail belongs to uid 4242"}},
		"another's and open": {0o777, 4242, []string{"fail belongs to uid 4242", "fail could replace"}},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("needs root: it gives a directory to another account")
			}
			if err := errors.Join(os.Chmod(dir, tc.mode), os.Chown(dir, tc.owner, 0)); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(dir)
			if err != nil {
				t.Fatal(err)
			}
			found(t, judgeDataDir(dir, info), tc.want...)
		})
	}
}

func TestJudgeRunnerConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	found(t, judgeRunnerConfig(file))
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	found(t, judgeRunnerConfig(file))
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	found(t, judgeRunnerConfig(file), "warn read the runner's token")
}

func absPath(t *testing.T, s string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func program(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestShells(t *testing.T) {
	site := Site{Config: &config.Config{}}
	site.Config.General.ShellPath = absPath(t, "/bin/bash")
	found(t, shells(t.Context(), site), "ok scripts run with /bin/bash")
	site.Config.General.ShellPath = absPath(t, "/nonexistent/bash")
	site.Config.Auth.ShellAllowlist.Items = []job.AbsPath{absPath(t, "/bin/sh"), absPath(t, "/nonexistent/zsh")}
	found(t, shells(t.Context(), site), "fail no program /nonexistent/bash", "warn names /nonexistent/zsh")
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
	found(t, parentOf(absPath(t, dir+"/new")), "ok will be made")
	found(t, parentOf(absPath(t, dir+"/a/b")), "fail neither")
}

func TestInterpreter(t *testing.T) {
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skipf("this account has no home: %v", err)
	}
	dir, err := os.MkdirTemp(home, "check-test-")
	if err != nil {
		t.Skipf("cannot make a directory in the home of this account: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for text, want := range map[string][]string{
		"#!/bin/sh\ntrue\n": nil, "#! /bin/sh -e\n": nil, "\x7fELF": nil, "": nil,
		"#!/nonexistent/python\n": {"fail wants an interpreter"}, "#!\n": {"fail wants an interpreter"}, "#!/etc\n": {"fail wants an interpreter"},
	} {
		path := filepath.Join(dir, "script")
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		found(t, interpreter(absPath(t, path)), want...)
	}
}

// TestPrivileged: a file without privileges may be run by all.
func TestPrivileged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	program(t, path)
	stat := func() fs.FileInfo {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	if privileged(absPath(t, path), stat()) {
		t.Error("a plain file has privileges")
	}
	if err := os.Chmod(path, 0o755|fs.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if !privileged(absPath(t, path), stat()) {
		t.Error("a setuid file has none")
	}
}
