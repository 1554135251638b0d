package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/internal/auth/internal/statedir"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// directory returns one that does not exist yet, in one that trustedfile trusts.
func directory(t testing.TB) (statedir.Dir, string) {
	t.Helper()
	path := filepath.Join(testutil.HomeDir(t), "state")
	d, err := statedir.New(parsed(t, job.ParseAbsPath, path), nil)
	if err != nil {
		t.Fatal(err)
	}
	return d, filepath.Join(path, keyFile)
}

func made(t testing.TB) (Key, statedir.Dir, string) {
	t.Helper()
	d, path := directory(t)
	k, err := LoadOrCreateKey(d)
	if err != nil {
		t.Fatal(err)
	}
	return k, d, path
}

func TestKeyIsCreatedOnce(t *testing.T) {
	first, d, path := made(t)
	if bytes.Equal(first.secret[:], make([]byte, keySize)) {
		t.Error("the key is empty")
	}
	for name, read := range map[string]func(statedir.Dir) (Key, error){"MakeKey": LoadOrCreateKey, "LoadKey": LoadKey} {
		if k, err := read(d); err != nil || *k.secret != *first.secret {
			t.Errorf("%s gives another key, or none: %v", name, err)
		}
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 || info.Size() != keySize {
		t.Errorf("%v %v", info, err)
	}
	if other, _, _ := made(t); *other.secret == *first.secret {
		t.Error("two directories have one key")
	}
}

// TestFirstJobsAgree starts many config stages at once without a key.
func TestFirstJobsAgree(t *testing.T) {
	for range 50 { // some interleavings are rare
		firstJobsAgree(t)
	}
}

func firstJobsAgree(t *testing.T) {
	d, _ := directory(t)
	var keys [16]Key
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			var err error
			if keys[i], err = LoadOrCreateKey(d); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, k := range keys {
		if k.secret == nil || *k.secret != *keys[0].secret {
			t.Fatal("they have different keys")
		}
	}
}

// TestReplacedKey: states sealed with the former key are refused in one line, and new
// jobs run.
func TestReplacedKey(t *testing.T) {
	k, d, path := made(t)
	file := parsed(t, job.ParseAbsPath, "/x")
	text, err := full(t).Seal(k, file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = LoadKey(d)
	refused(t, "no key", err, "was replaced during the job")
	next, err := LoadOrCreateKey(d)
	if err != nil {
		t.Fatal(err)
	}
	_, err = reopen(text, next, own)
	refused(t, "the next key", err, "sealed with another key")
}

func TestDamagedKey(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		want  string
	}{
		"empty":     {func(p string) error { return os.Truncate(p, 0) }, "0 bytes, want 32"},
		"cut":       {func(p string) error { return os.Truncate(p, keySize-1) }, "31 bytes, want 32"},
		"longer":    {func(p string) error { return os.Truncate(p, keySize+1) }, "longer than 32 bytes"},
		"open":      {func(p string) error { return os.Chmod(p, 0o644) }, "other accounts have access"},
		"writable":  {func(p string) error { return os.Chmod(p, 0o620) }, "writable by group"},
		"directory": {func(p string) error { os.Remove(p); return os.Mkdir(p, 0o700) }, "a directory"},
	} {
		_, d, path := made(t)
		if err := c.spoil(path); err != nil {
			t.Fatal(err)
		}
		for what, read := range map[string]func(statedir.Dir) (Key, error){"MakeKey": LoadOrCreateKey, "LoadKey": LoadKey} {
			k, err := read(d)
			if failure.KindOf(err) != failure.Config || !strings.Contains(fmt.Sprint(err), c.want) || !strings.HasSuffix(fmt.Sprint(err), ": remove it; the next job creates another") || strings.Contains(err.Error(), "run: ") || k.secret != nil {
				t.Errorf("%s, %s: %v, want a fault of the configuration with %q", name, what, err, c.want)
			}
		}
		if err := CheckKey(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: CheckKey returns %v", name, err)
		}
	}
	_, d, path := made(t)
	if err := errors.Join(CheckKey(d), os.Remove(path), CheckKey(d)); err != nil {
		t.Error(err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	d, path := directory(t)
	if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o777); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(statedir.Dir) (Key, error){"MakeKey": LoadOrCreateKey, "LoadKey": LoadKey} {
		if _, err := read(d); failure.KindOf(err) != failure.Config || strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyIsNotShown(t *testing.T) {
	k := keyOf(0xab)
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v", k, k, k)} {
		if strings.Contains(text, "abab") || strings.Contains(text, "171 171") {
			t.Errorf("%s", text)
		}
	}
	k.Clear()
	if *k.secret != [keySize]byte{} {
		t.Error("the key is still there")
	}
}

func BenchmarkLoadKey(b *testing.B) {
	_, d, _ := made(b)
	for b.Loop() {
		if _, err := LoadKey(d); err != nil {
			b.Fatal(err)
		}
	}
}
