package imagestore

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/safedir"
	"jacamar-ci/test/harness/testutil"
)

// TestUse: a job keeps only an image that it can find, and needs no write access for it.
func TestUse(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	first, err := get(t, s, image.IfNotPresent)
	testutil.Must(t, err)
	r.digest = "b"
	second, err := get(t, s, image.Always)
	testutil.Must(t, err)
	if s.use(first) || !s.use(second) {
		t.Error("a replaced image is kept, or the one in its place is not")
	}
	testutil.Must(t, s.Dir.Remove(second.Name, time.Now().Add(time.Minute)))
	if s.use(second) {
		t.Error("an image that is gone is kept")
	}
}

func TestUseReadOnly(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	disk := smallDisk(t)
	dir, err := safedir.OpenBase(disk, safedir.Rules{Owner: uid()})
	testutil.Must(t, err)
	t.Cleanup(dir.Close)
	s.Dir = dir
	e, err := get(t, s, image.IfNotPresent)
	testutil.Must(t, err)
	testutil.Must(t, unix.Mount("", disk.String(), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	if !s.use(e) {
		t.Error("an image on a file system that is mounted read-only cannot be used")
	}
}

// TestPruneOneAtATime: a Prune that ends what another one has begun removes nothing else, and
// one that finds an image being fetched removes the next one.
func TestPruneOneAtATime(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	all := cached(t, s, "a", "b", "c")
	limits := Limits{Unused: time.Hour}
	begun, err := s.Dir.Make("key-digest" + goneSuffix)
	testutil.Must(t, err)
	begun.Close()
	if prune(t, s, limits); len(present(s, all)) != 3 {
		t.Errorf("after the end of another one: %q", present(s, all))
	}
	lock := reopened(t, s).tryLock(all[2].key() + lockSuffix)
	defer lock.Close()
	if prune(t, s, limits); strings.Join(present(s, all), " ") != "a c" {
		t.Errorf("while the oldest is fetched: %q", present(s, all))
	}
}

// TestRestore: an entry that a Prune has renamed gets its name again, unless there is a newer
// one.
func TestRestore(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	for newer, want := range map[string]string{"": "old", "newer": "newer"} {
		testutil.Must(t, s.Dir.Write("k"+entrySuffix+prunedSuffix, []byte("old")))
		if newer != "" {
			testutil.Must(t, s.Dir.Write("k"+entrySuffix, []byte(newer)))
		}
		s.restore("k")
		text, err := s.Dir.Read("k"+entrySuffix, 10)
		names, nerr := s.Dir.Names()
		if string(text) != want || err != nil || nerr != nil || len(names) != 1 {
			t.Errorf("%q, %v; %v, %v", text, err, names, nerr)
		}
		testutil.Must(t, s.Dir.Remove("k"+entrySuffix, time.Now().Add(time.Minute)))
	}
}

// TestImages: images are the directories of their names, not what belongs to one.
func TestImages(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	e, err := get(t, s, image.IfNotPresent)
	testutil.Must(t, err)
	for _, name := range []string{e.Name + goneSuffix, e.key() + ".r-1" + newSuffix, "other", e.key() + "-replaced"} {
		dir, err := s.Dir.Make(name)
		testutil.Must(t, err)
		dir.Close()
	}
	testutil.Must(t, s.Dir.Write(e.key()+"-file", nil))
	names, err := s.Dir.Names()
	testutil.Must(t, err)
	var got []string
	for _, one := range s.images(append(names, e.key()+"-gone-meanwhile")) {
		got = append(got, fmt.Sprintf("%s %v", strings.TrimPrefix(one.name, e.key()), one.named))
	}
	slices.Sort(got)
	if want := []string{strings.TrimPrefix(e.Name, e.key()) + " true", "-replaced false"}; !slices.Equal(got, want) { // the digest is of letters a
		t.Errorf("%q, want %q", got, want)
	}
}

// TestExceeding: images that no job can find are removed before all others, then those that
// are unused for longest.
func TestExceeding(t *testing.T) {
	now := time.Now()
	one := func(name string, hours int, named bool) stored {
		return stored{name: name, used: now.Add(-time.Duration(hours) * time.Hour), named: named}
	}
	all := []stored{one("a", 5, true), one("b", 2, false), one("c", 7, true), one("d", 3, false), one("e", 1, true)}
	for range 5 {
		var got []string
		for _, s := range (Limits{Unused: 2 * time.Hour}).exceeding(slices.Clone(all), now) {
			got = append(got, s.name)
		}
		if want := "d b c a"; strings.Join(got, " ") != want {
			t.Errorf("%q, want %q", got, want)
		}
		all = append(all[1:], all[0]) // in another order
	}
}

// TestRetire: an image is taken out of the store with its entry, unless a job uses it or has
// used it since it was listed, and the entry of another image stays.
func TestRetire(t *testing.T) {
	for name, tt := range map[string]struct {
		replaced bool
		change   func(s Store, e Entry)
		want     bool
	}{
		"unused":                 {false, func(Store, Entry) {}, true},
		"replaced":               {true, func(Store, Entry) {}, true},
		"in use":                 {false, func(s Store, e Entry) { s.use(e); age(t, s, e.Name, 3*time.Hour) }, false},
		"used since it was seen": {false, func(s Store, e Entry) { s.use(e); s.Release() }, false},
		"it is gone":             {true, func(s Store, e Entry) { _ = s.Dir.Remove(e.Name, time.Now().Add(time.Minute)) }, false},
	} {
		r := &registry{digest: "a"}
		s := store(t, r, &bytes.Buffer{})
		e := cached(t, s, "a")[0]
		newer := e
		if tt.replaced {
			r.digest = "b"
			var err error
			newer, err = s.Get(t.Context(), image.Request{Reference: e.Reference}, []image.PullPolicy{image.Always})
			testutil.Must(t, err)
			s.Release()
		}
		listed := stored{name: e.Name, used: s.Dir.ModTime(e.Name), named: !tt.replaced}
		tt.change(s, e)
		_, there := s.entry(e.key())
		retired, _ := s.retire(listed, time.Now().Add(time.Minute))
		if retired != tt.want || there != nil {
			t.Errorf("%s: retired %v, the entry before: %v", name, retired, there)
		}
		now, err := s.entry(e.key())
		if entryStays := tt.replaced || !tt.want; (err == nil) != entryStays || (err == nil && now.Name != newer.Name) {
			t.Errorf("%s: the entry is of %q (%v)", name, now.Name, err)
		}
	}
}

// TestFetchedLongAgo: an image whose entry a killed Prune has renamed is used as it is.
func TestFetchedLongAgo(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	e, err := get(t, s, image.IfNotPresent)
	testutil.Must(t, err)
	testutil.Must(t, s.Dir.Move(e.key()+entrySuffix, s.Dir, e.key()+entrySuffix+prunedSuffix))
	if again, err := get(t, s, image.IfNotPresent); err != nil || again.Name != e.Name || r.pulls != 1 {
		t.Errorf("%+v, %v, %d pulls", again, err, r.pulls)
	}
}

// TestUseFails: a job that cannot keep an image fetches it, and does not keep the lock from
// itself.
func TestUseFails(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	e, err := get(t, s, image.IfNotPresent)
	testutil.Must(t, err)
	if err := setFlags(s.Dir.PathOf(e.Name), 0x10); err != nil { // FS_IMMUTABLE_FL of linux/fs.h
		t.Skipf("this file system has no immutable directories: %v", err)
	}
	t.Cleanup(func() { testutil.Must(t, setFlags(s.Dir.PathOf(e.Name), 0)) })
	s.Timeout = 5 * time.Second
	if _, err := get(t, s, image.IfNotPresent); err != nil || r.pulls != 2 {
		t.Errorf("%v, %d pulls", err, r.pulls)
	}
}

// TestRetireKeepsAnother: the entry of the newer image stays when a replaced one is taken out,
// also under the name that a killed Prune has given it.
func TestRetireKeepsAnother(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	first := cached(t, s, "a")[0]
	r.digest = "b"
	second, err := s.Get(t.Context(), image.Request{Reference: first.Reference}, []image.PullPolicy{image.Always})
	testutil.Must(t, err)
	s.Release()
	testutil.Must(t, s.Dir.Move(second.key()+entrySuffix, s.Dir, second.key()+entrySuffix+prunedSuffix))
	retired, err := s.retire(stored{name: first.Name, used: s.Dir.ModTime(first.Name)}, time.Now().Add(time.Minute))
	if !retired || err != nil {
		t.Fatalf("retired %v, %v", retired, err)
	}
	s.restore(second.key())
	if e, err := s.entry(second.key()); err != nil || e.Name != second.Name {
		t.Errorf("%+v, %v", e, err)
	}
}
