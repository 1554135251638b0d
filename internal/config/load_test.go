package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

const minimal = `[general]
executor = "shell"
data_dir = "$HOME"
gitlab_server = "https://gitlab.example.com/"
[auth]
downscope = "setuid"
`

func TestMinimalHasDefaults(t *testing.T) {
	c, err := parse(minimal)
	if err != nil {
		t.Fatal(err)
	}
	g := c.General
	if g.GitLabServer.String() != "https://gitlab.example.com" || g.JWTIssuer != "https://gitlab.example.com" || g.JWTRequiredAud != g.JWTIssuer {
		t.Errorf("server %v, issuer %q, audience %q", g.GitLabServer, g.JWTIssuer, g.JWTRequiredAud)
	}
	if g.KillTimeout != 2*time.Minute || g.JWKSMaxAge != 24*time.Hour || g.JWKSStaleMax != 7*24*time.Hour || c.Batch.CommandDelay != 30*time.Second {
		t.Errorf("durations %+v %+v", g, c.Batch)
	}
	if c.Auth.MinUID != 1000 || c.Auth.AccountSource != settings.UserLogin || c.Auth.Logging.Level != Info || !c.Auth.Logging.Enabled || c.Auth.Logging.Location != (Location{}) {
		t.Errorf("auth %+v", c.Auth)
	}
	if c.Auth.UserAllowlist.Set || g.JWTEnvVariable != "SITE_ID_TOKEN" || g.ShellPath.String() != "/bin/bash" {
		t.Errorf("%+v %+v", g, c.Auth)
	}
}

func TestLoad(t *testing.T) {
	dir := privateDir(t)
	path, err := job.ParseAbsPath(filepath.Join(dir, "jacamar.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, text, want string
		mode             os.FileMode
	}{
		{"good", minimal, "", 0o600},
		{"several faults", "", "the configuration " + path.String() + ": 4 faults\n", 0o644},
		{"one fault", minimal + "foo = 1\n", path.String() + ": line 7: auth.foo: unknown key", 0o644},
		{"writable", minimal, "it is writable by group (mode 0660)", 0o660},
		{"too long", minimal + strings.Repeat("#", maxSize), "longer than 1048576 bytes", 0o600},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(path.String(), []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path.String(), tc.mode); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path)
			if tc.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want %q in it", err, tc.want)
			}
			if failure.KindOf(err) != failure.Config {
				t.Errorf("kind %v", failure.KindOf(err))
			}
			if line, _ := failure.ForUser(err, false, "job 1"); strings.Contains(line, "jacamar.toml") {
				t.Errorf("the user sees %q", line)
			}
		})
	}
}

// privateDir is a directory whose parents can be trusted.
func privateDir(t *testing.T) string {
	t.Helper()
	dir := testutil.HomeDir(t)
	for _, f := range trustedfile.Self().Check(testutil.AbsPath(t, filepath.Join(dir, "file"))) {
		if f.Path != f.File {
			t.Skipf("the home of this account is not trusted itself: %v", &f)
		}
	}
	return dir
}

// TestManyFaults gives the wrong file: it must not cost minutes or megabytes.
func TestManyFaults(t *testing.T) {
	var unknown strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&unknown, "k%d = 1\n", i)
	}
	for name, text := range map[string]string{
		"unknown keys": unknown.String(),
		"rules":        strings.Repeat("[[batch.rule]]\nx = 1\n", 5_000),
		"empty rules":  minimal + strings.Repeat("[[batch.rule]]\nargs = []\n", 5_000),
	} {
		_, err := parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), "200 faults, and the search ended there\n") || len(err.Error()) > 1<<16 {
			t.Errorf("%s: %.200v", name, err)
		}
	}
	_, err := parse("a = " + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000))
	if err == nil || !strings.HasPrefix(err.Error(), "5 faults\n") {
		t.Errorf("nested arrays: %.200v", err)
	}
}

// BenchmarkParse is what every stage pays.
func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(minimal); err != nil {
			b.Fatal(err)
		}
	}
}
