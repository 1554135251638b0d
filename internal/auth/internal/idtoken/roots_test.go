package idtoken

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/test/harness/testutil"
)

func TestCAFileIsJudged(t *testing.T) {
	dir := testutil.HomeDir(t)
	sound := caFile(t, dir, otherCA(t))
	write := func(name, content string, mode os.FileMode) job.AbsPath {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return testutil.AbsPath(t, path)
	}
	pem, err := os.ReadFile(sound.String())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.pem")
	if err := os.Symlink(sound.String(), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		file job.AbsPath
		want string // "" is accepted
	}{
		{"sound", sound, ""},
		{"two certificates", write("two.pem", string(pem)+string(pem), 0o600), ""},
		{"missing", testutil.AbsPath(t, filepath.Join(dir, "none.pem")), "does not exist"},
		{"writable by others", write("open.pem", string(pem), 0o666), "writable by"},
		{"a directory", testutil.AbsPath(t, dir), "not a regular file"},
		{"a link", testutil.AbsPath(t, link), "symbolic link"},
		{"no certificate", write("key.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 0o600), "no certificate"},
		{"empty", write("empty.pem", "", 0o600), "no certificate"},
		{"too long", write("long.pem", strings.Repeat("\n", jwks.MaxBundle)+string(pem), 0o600), "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.settings.CAFile = c.file
			_, err := s.keys().Refresh(context.Background(), issued, false)
			if c.want == "" {
				if failure.KindOf(err) == failure.Config || !strings.Contains(fmt.Sprint(err), "certificate") {
					t.Errorf("error %v, want one of the server's certificate", err)
				}
				return
			}
			if failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a fault of the configuration with %q", err, c.want)
			}
		})
	}
}

func TestFirstBundle(t *testing.T) {
	dir := testutil.HomeDir(t)
	sound := caFile(t, dir, otherCA(t)).String()
	missing := filepath.Join(dir, "none.pem")
	for _, c := range []struct {
		name  string
		paths []string
		kind  failure.Kind
		fails bool
	}{
		{"the first", []string{sound, missing}, 0, false},
		{"the first that is there", []string{missing, sound, dir}, 0, false},
		{"none", []string{missing}, failure.Config, true},
		{"one below a file", []string{sound + "/ca.pem", sound}, failure.System, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := firstBundle(c.paths)
			if (err != nil) != c.fails || (f == nil) != c.fails || failure.KindOf(err) != c.kind {
				t.Fatalf("firstBundle: %v, %v", f, err)
			}
			if f != nil && f.Name() != sound {
				t.Errorf("%s was opened", f.Name())
			}
		})
	}
}
