package idtoken

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// primed is a site whose keys were fetched and kept when the job was issued.
func primed(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	if _, err := s.keys().For(context.Background(), ciID, issued); err != nil {
		t.Fatal(err)
	}
	s.wantAsked(1)
	return s
}

func TestStateIsPrivate(t *testing.T) {
	s := primed(t)
	for path, want := range map[string]os.FileMode{
		s.settings.StateDir.String(): 0o700 | os.ModeDir,
		s.stateFile():                0o600,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
}

// TestStateDirectory: a directory that others could change, and each parent that
// they could, is refused before anything is read or fetched.
func TestStateDirectory(t *testing.T) {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, s *site, dir string)
		want  string
	}{
		{"writable by group", func(t *testing.T, _ *site, dir string) { must(t, os.Chmod(dir, 0o770)) }, "writable by group"},
		{"writable by others", func(t *testing.T, _ *site, dir string) { must(t, os.Chmod(dir, 0o707)) }, "writable by others"},
		{"readable by group", func(t *testing.T, _ *site, dir string) {
			if os.Geteuid() == 0 {
				t.Skip("needs an ordinary user: what is root's may be read by others")
			}
			must(t, os.Chmod(dir, 0o750))
		}, "mode is 0750, not 0700"},
		{"a file", func(t *testing.T, _ *site, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.WriteFile(dir, nil, 0o700))
		}, "state directory"},
		{"a link to another's", func(t *testing.T, _ *site, dir string) {
			must(t, os.Rename(dir, dir+".real"))
			must(t, os.Symlink(dir+".real", dir))
		}, "not a directory"},
		{"parent writable by others", func(t *testing.T, _ *site, dir string) { must(t, os.Chmod(filepath.Dir(dir), 0o777)) }, "writable by"},
		{"parent writable by others, nothing there yet", func(t *testing.T, _ *site, dir string) {
			must(t, os.RemoveAll(dir))
			must(t, os.Chmod(filepath.Dir(dir), 0o777))
		}, "writable by"},
		{"parent missing", func(t *testing.T, s *site, dir string) {
			s.settings.StateDir = absPath(t, filepath.Join(dir, "a", "b"))
		}, "cannot make"},
		{"another account's", func(t *testing.T, _ *site, dir string) {
			asRoot(t)
			must(t, os.Chown(dir, 65534, 65534))
		}, "uid 65534"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := primed(t)
			dir := s.settings.StateDir.String()
			c.spoil(t, s, dir)
			_, err := s.keys().For(context.Background(), ciID, issued)
			if failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a fault of the configuration with %q", err, c.want)
			}
			_, err = s.keys().Refresh(context.Background(), issued)
			if failure.KindOf(err) != failure.Config {
				t.Errorf("Refresh: error %v, want a fault of the configuration", err)
			}
			if strings.Contains(c.name, "nothing there yet") {
				if _, err := os.Lstat(dir); err == nil {
					t.Error("a directory was made below an untrusted one")
				}
			}
			s.wantAsked(1)
		})
	}
}

// TestRootsDirectoryMayBeRead: root's timer keeps the keys for a service account.
func TestOwnProblem(t *testing.T) {
	for _, c := range []struct {
		owner uint32
		mode  os.FileMode
		euid  uint32
		want  string
	}{
		{0, 0o755, 0, ""},
		{0, 0o755, 990, ""},
		{0, 0o775, 0, "its mode is 0775, not 0700"},
		{0, 0o775, 990, "it belongs to uid 0, not to 990"},
		{0, 0o757, 990, "it belongs to uid 0, not to 990"},
		{990, 0o700, 990, ""},
		{990, 0o750, 990, "its mode is 0750, not 0700"},
		{990, 0o700, 0, "it belongs to uid 990, not to 0"},
		{990, 0o700, 991, "it belongs to uid 990, not to 991"},
		{990, 0o755, 991, "it belongs to uid 990, not to 991"},
	} {
		if got := ownProblem(c.owner, c.mode, c.euid); got != c.want {
			t.Errorf("owner %d, mode %04o, as %d: %q, want %q", c.owner, c.mode, c.euid, got, c.want)
		}
	}
}

func TestRootsDirectoryMayBeRead(t *testing.T) {
	asRoot(t)
	s := newSite(t)
	if err := os.Mkdir(s.settings.StateDir.String(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys().Refresh(t.Context(), issued); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(s.stateFile()); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := s.keys().For(t.Context(), ciID, issued); err != nil {
		t.Error(err)
	}
	s.wantAsked(1)
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives a file to another account")
	}
}

// TestH12KeptKeys: a kept set that cannot be believed is not. It is fetched
// anew; while the server is down as well, the job is refused.
func TestH12KeptKeys(t *testing.T) {
	rewrite := func(old, new string) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(string(b), old, new, 1)
			if changed == string(b) {
				t.Fatalf("%q is not in %s", old, b)
			}
			if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, file string)
		after time.Duration
	}{
		{"H12 writable by group", func(t *testing.T, f string) { _ = os.Chmod(f, 0o660) }, 0},
		{"H12 writable by others", func(t *testing.T, f string) { _ = os.Chmod(f, 0o606) }, 0},
		{"H12 another account's", func(t *testing.T, f string) { asRoot(t); _ = os.Chown(f, 65534, 65534) }, 0},
		{"H12 truncated", func(t *testing.T, f string) { _ = os.Truncate(f, 300) }, 0},
		{"H12 empty", func(t *testing.T, f string) { _ = os.Truncate(f, 0) }, 0},
		{"H12 too long", func(t *testing.T, f string) { _ = os.Truncate(f, maxRecord+1) }, 0},
		{"H12 a link", func(t *testing.T, f string) { _ = os.Rename(f, f+".x"); _ = os.Symlink(f+".x", f) }, 0},
		{"H12 a directory", func(t *testing.T, f string) { _ = os.Remove(f); _ = os.Mkdir(f, 0o700) }, 0},
		{"H12 of another server", rewrite(`"url":"https`, `"url":"http`), 0},
		{"H12 of another version", rewrite(`"version":1`, `"version":2`), 0},
		{"H12 a weak key", rewrite(`"e":"AQAB"`, `"e":"Aw"`), 0},
		{"H12 older than the limit", func(*testing.T, string) {}, 168*time.Hour + time.Second},
		{"H12 of the future", func(*testing.T, string) {}, -time.Second},
	} {
		t.Run(c.name+", server up", func(t *testing.T) {
			s := primed(t)
			c.spoil(t, s.stateFile())
			set, err := s.keys().For(context.Background(), ciID, issued.Add(c.after))
			if c.name == "H12 a directory" {
				// Nothing to believe, and nothing that could be put in its place.
				if len(s.warned) != 2 || strings.Contains(s.warned[1].Error(), temporary) {
					t.Errorf("warned %v, want of the reading and of the keeping, in plain words", s.warned)
				}
				_ = os.Remove(s.stateFile())
			}
			if err != nil || !set.Has(ciID) {
				t.Fatalf("For: %v, %v", set, err)
			}
			s.wantAsked(2)
		})
		t.Run(c.name+", server down", func(t *testing.T) {
			s := primed(t)
			c.spoil(t, s.stateFile())
			s.down()
			_, err := s.keys().For(context.Background(), ciID, issued.Add(c.after))
			wantSystem(t, err, "refuses the connection")
		})
	}
}

// TestH12Mend: what replaced a set that was not believed is believed again.
func TestH12Mend(t *testing.T) {
	s := primed(t)
	if err := os.Chmod(s.stateFile(), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.keys().For(context.Background(), ciID, issued); err != nil {
			t.Fatal(err)
		}
	}
	s.wantAsked(2)
	if len(s.warned) != 1 || !strings.Contains(s.warned[0].Error(), "writable by") {
		t.Errorf("warned %v, want once of who could write", s.warned)
	}
}

func TestKeptPerServer(t *testing.T) {
	s := primed(t)
	s.settings.JWKS = parseURL(t, s.https.URL+"/-/jwks")
	for range 2 {
		if _, err := s.keys().For(context.Background(), ciID, issued); err != nil {
			t.Fatal(err)
		}
	}
	s.wantAsked(2)
	if files, _ := os.ReadDir(s.settings.StateDir.String()); len(files) != 2 {
		t.Errorf("%d files are kept, want one for each address", len(files))
	}
}

func TestSweep(t *testing.T) {
	s := primed(t)
	dir := s.settings.StateDir.String()
	old := filepath.Join(dir, temporary+"OLD")
	young := filepath.Join(dir, temporary+"YOUNG")
	foreign := filepath.Join(dir, "other-OLD")
	for _, f := range []string{old, young, foreign} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	for _, f := range []string{old, foreign} {
		if err := os.Chtimes(f, past, past); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.keys().Refresh(context.Background(), issued); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{old: false, young: true, foreign: true} {
		if _, err := os.Lstat(path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", path, err == nil, want)
		}
	}
}

// TestFullDisk: keys that are at hand serve although they cannot be kept.
func TestFullDisk(t *testing.T) {
	s := newSite(t)
	k := s.keys()
	// A name that no file system takes stands for one that takes no file.
	k.store.file = absPath(t, s.settings.StateDir.String()+"/"+strings.Repeat("n", 300))
	if set, err := k.For(context.Background(), ciID, issued); err != nil || !set.Has(ciID) {
		t.Fatalf("For: %v, %v", set, err)
	}
	if len(s.warned) == 0 || !strings.Contains(s.warned[len(s.warned)-1].Error(), "cannot keep the keys") {
		t.Errorf("warned %v, want of the keys that could not be kept", s.warned)
	}
	if files, _ := os.ReadDir(s.settings.StateDir.String()); len(files) != 0 {
		t.Errorf("%v is left behind", files)
	}
	if _, err := k.Refresh(context.Background(), issued); err == nil {
		t.Error("Refresh succeeded without keeping anything")
	}
}

func TestStateDirMustBeUsable(t *testing.T) {
	for _, c := range []struct {
		name string
		dir  job.AbsPath
	}{
		{"not set", job.AbsPath{}},
		{"so long that no file in it has a name", absPath(t, "/"+strings.Repeat("d/", 2040)+"d")},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewKeys(KeySettings{GitLab: parseURL(t, "https://gitlab.site.example"), StateDir: c.dir})
			if failure.KindOf(err) != failure.Config {
				t.Errorf("error %v, want a fault of the configuration", err)
			}
		})
	}
}

func TestSaveWithoutDirectory(t *testing.T) {
	s := primed(t)
	k := s.keys()
	kept, err := k.store.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.settings.StateDir.String()); err != nil {
		t.Fatal(err)
	}
	if err := k.store.save(kept); err == nil {
		t.Error("save succeeded without a directory")
	}
}

func TestNobodyNeedsToListen(t *testing.T) {
	s := primed(t)
	s.settings.Warn = nil
	if err := os.Truncate(s.stateFile(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys().For(context.Background(), ciID, issued); err != nil {
		t.Error(err)
	}
}
