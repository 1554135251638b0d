package idtoken

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
)

// primed is a site whose keys were fetched and kept when the job was issued.
func primed(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
		t.Fatal(err)
	}
	s.wantAsked(1)
	return s
}

func TestStateIsPrivate(t *testing.T) {
	s := primed(t)
	for path, want := range map[string]os.FileMode{
		s.stateDir.String(): 0o700 | os.ModeDir,
		s.stateFile():       0o600,
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

// TestStateDirectory: one that others could change is a fault of the configuration,
// before anything is read or fetched.
func TestStateDirectory(t *testing.T) {
	s := primed(t)
	if err := os.Chmod(s.stateDir.String(), 0o770); err != nil {
		t.Fatal(err)
	}
	_, err := s.keys().Get(context.Background(), ciID, issued)
	if failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), "its mode is 0770") {
		t.Errorf("error %v, want a fault of the configuration", err)
	}
	if _, err = s.keys().Refresh(context.Background(), issued, false); failure.KindOf(err) != failure.Config {
		t.Errorf("Refresh: error %v, want a fault of the configuration", err)
	}
	s.wantAsked(1)
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives a file to another account")
	}
}

// TestH12KeptKeys: a cached set that cannot be trusted is not used. It is fetched
// again; while the server is down as well, the job is refused.
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
		{"H12 too long", func(t *testing.T, f string) { _ = os.Truncate(f, maxCacheFile+1) }, 0},
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
			set, err := s.keys().Get(context.Background(), ciID, issued.Add(c.after))
			if c.name == "H12 a directory" {
				// No cached set, and no way to replace it.
				if len(s.warned) != 2 {
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
			_, err := s.keys().Get(context.Background(), ciID, issued.Add(c.after))
			wantSystem(t, err, "connection refused")
		})
	}
}

// TestH12Fix: the set that replaced an untrusted one is trusted.
func TestH12Fix(t *testing.T) {
	s := primed(t)
	if err := os.Chmod(s.stateFile(), 0o666); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
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
		if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
			t.Fatal(err)
		}
	}
	s.wantAsked(2)
	if files, _ := os.ReadDir(s.stateDir.String()); len(files) != 2 {
		t.Errorf("%d files are kept, want one for each address", len(files))
	}
}

// TestFullDisk: keys that are at hand serve although they cannot be kept.
func TestFullDisk(t *testing.T) {
	s := newSite(t)
	k := s.keys()
	// A name that no file system takes stands for one that takes no file.
	k.store.file = strings.Repeat("n", 300)
	if set, err := k.Get(context.Background(), ciID, issued); err != nil || !set.Has(ciID) {
		t.Fatalf("For: %v, %v", set, err)
	}
	if len(s.warned) == 0 || !strings.Contains(s.warned[len(s.warned)-1].Error(), "cannot cache the keys") {
		t.Errorf("warned %v, want of the keys that could not be kept", s.warned)
	}
	if files, _ := os.ReadDir(s.stateDir.String()); len(files) != 0 {
		t.Errorf("%v is left behind", files)
	}
	if _, err := k.Refresh(context.Background(), issued, false); err == nil {
		t.Error("Refresh succeeded without keeping anything")
	}
}

func TestSaveWithoutDirectory(t *testing.T) {
	s := primed(t)
	k := s.keys()
	kept, err := k.store.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(s.stateDir.String()); err != nil {
		t.Fatal(err)
	}
	if err := k.store.save(kept); err == nil {
		t.Error("save succeeded without a directory")
	}
}

func TestNilWarn(t *testing.T) {
	s := primed(t)
	s.settings.Warn = nil
	if err := os.Truncate(s.stateFile(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys().Get(context.Background(), ciID, issued); err != nil {
		t.Error(err)
	}
}
