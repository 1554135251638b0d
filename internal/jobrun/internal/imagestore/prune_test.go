package imagestore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/container"
)

// cached are fetched images of the names, each unused for an hour longer than the one
// before it. No job uses them.
func cached(t *testing.T, s Store, repositories ...string) (all []Entry) {
	t.Helper()
	for i, name := range repositories {
		ref, err := image.ParseReference("r.example.com/" + name)
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Get(t.Context(), image.Request{Reference: ref}, []image.PullPolicy{image.IfNotPresent})
		if err != nil {
			t.Fatal(err)
		}
		age(t, s, e.Name, time.Duration(i+2)*time.Hour)
		all = append(all, e)
	}
	s.Release()
	return all
}

func age(t *testing.T, s Store, name string, by time.Duration) {
	t.Helper()
	at := time.Now().Add(-by)
	if err := os.Chtimes(filepath.Join(s.Dir.Path().String(), name), at, at); err != nil {
		t.Fatal(err)
	}
}

func (s Store) has(e Entry) bool { return !s.Dir.ModTime(e.Name).IsZero() }

// present are the repositories of which a job finds the image.
func present(s Store, all []Entry) (names []string) {
	for _, e := range all {
		if _, found := s.find(key(container.Store, e.Reference, ""), image.Request{Reference: e.Reference}); found {
			names = append(names, strings.TrimPrefix(e.Reference.Name(), "r.example.com/"))
		}
	}
	return names
}

func prune(t *testing.T, s Store, l Limits) {
	t.Helper()
	if err := s.Prune(l, time.Now().Add(time.Minute)); err != nil {
		t.Error(err)
	}
	names, err := s.Dir.Names()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, prunedSuffix) || strings.HasSuffix(name, goneSuffix) {
			t.Errorf("%s is left", name)
		}
		if k, ok := strings.CutSuffix(name, entrySuffix); ok {
			if e, err := s.entry(k); err != nil || !s.has(e) {
				t.Errorf("%s names an image that is not there: %+v, %v", name, e, err)
			}
		}
	}
}

func TestPrune(t *testing.T) {
	const all = "a b c"
	for name, tt := range map[string]struct {
		limits Limits
		used   string   // by another job
		want   []string // after each call
	}{
		"no limits":         {Limits{}, "", []string{all}},
		"none is old":       {Limits{Unused: 5 * time.Hour}, "", []string{all}},
		"the oldest first":  {Limits{Unused: 3 * time.Hour}, "", []string{"a b", "a", "a"}},
		"a used one stays":  {Limits{Unused: time.Hour}, "c", []string{"a c", "c", "c"}},
		"of too many":       {Limits{Size: 5_000_000}, "", []string{"a b", "a b"}},
		"of too many, used": {Limits{Size: 1}, "a", []string{"a b", "a", "a"}},
		"all are recent":    {Limits{Size: 1, Idle: 5 * time.Hour}, "", []string{all}},
		"some are recent":   {Limits{Size: 1, Unused: 1, Idle: 210 * time.Minute}, "", []string{"a b", "a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
			entries := cached(t, s, "a", "b", "c")
			other := s
			other.Job = "r-2"
			for _, e := range entries {
				if strings.HasSuffix(e.Reference.Name(), "/"+tt.used) {
					used := s.Dir.ModTime(e.Name)
					if !other.use(e) {
						t.Error("the image is not there")
					}
					age(t, s, e.Name, time.Since(used))
				}
			}
			for i, want := range tt.want {
				prune(t, s, tt.limits)
				if got := strings.Join(present(s, entries), " "); got != want {
					t.Errorf("call %d: %q, want %q", i, got, want)
				}
			}
			other.Release()
			prune(t, s, tt.limits)
			for _, e := range entries {
				if found := slices.Contains(present(s, entries), strings.TrimPrefix(e.Reference.Name(), "r.example.com/")); found != s.has(e) {
					t.Errorf("%s: found %v, there %v", e.Reference, found, s.has(e))
				}
			}
		})
	}
}

// An image that a newer one has replaced goes once no job uses it.
func TestPruneReplaced(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	first, err := get(t, s, image.IfNotPresent)
	if err != nil {
		t.Fatal(err)
	}
	other := s
	other.Job, r.digest = "r-2", "b"
	second, err := get(t, other, image.Always)
	if err != nil || second.Name == first.Name {
		t.Fatalf("%+v, %v", second, err)
	}
	limits := Limits{Unused: 24 * time.Hour}
	if prune(t, s, limits); !s.has(first) {
		t.Error("the image of a job is gone")
	}
	s.Release()
	other.Release()
	if prune(t, s, limits); s.has(first) || !s.has(second) {
		t.Errorf("the replaced image is there: %v, the other one: %v", s.has(first), s.has(second))
	}
}

// Whatever moment a Prune was killed at, the next one ends it, and no job finds a part of
// an image.
func TestPruneResumes(t *testing.T) {
	renameEntry := func(s Store, e Entry) error {
		return s.Dir.Move(e.key()+entrySuffix, s.Dir, e.key()+entrySuffix+prunedSuffix)
	}
	removeEntry := func(s Store, e Entry) error { return s.Dir.Remove(e.key()+entrySuffix, time.Now().Add(time.Minute)) }
	renameImage := func(s Store, e Entry) error { return s.Dir.Move(e.Name, s.Dir, e.Name+goneSuffix) }
	for name, tt := range map[string]struct {
		interrupt  []func(s Store, e Entry) error
		used, back bool
	}{
		"after the entry":         {[]func(Store, Entry) error{renameEntry}, false, true},
		"after the entry, in use": {[]func(Store, Entry) error{renameEntry}, true, true},
		"after the image":         {[]func(Store, Entry) error{renameEntry, renameImage}, false, false},
		"in the removal":          {[]func(Store, Entry) error{removeEntry, renameImage}, false, false},
		"in the removal, in use":  {[]func(Store, Entry) error{removeEntry, renameImage}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
			e := cached(t, s, "a")[0]
			for _, step := range tt.interrupt {
				if err := step(s, e); err != nil {
					t.Fatal(err)
				}
			}
			if len(present(s, []Entry{e})) > 0 {
				t.Error("a job finds it")
			}
			if tt.used {
				s.use(e)
			}
			prune(t, s, Limits{})
			if s.has(e) != tt.back {
				t.Errorf("there: %v, want %v", s.has(e), tt.back)
			}
			if e, err := get(t, s, image.IfNotPresent); err != nil || !s.has(e) {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
}

// A use whose job had no cleanup ends after a month.
func TestPruneStaleUse(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	e := cached(t, s, "a")[0]
	s.use(e)
	age(t, s, e.Name, 40*24*time.Hour)
	age(t, s, e.Name+"."+s.Job+useSuffix, longestUse+time.Hour)
	if prune(t, s, Limits{Unused: time.Hour}); s.has(e) {
		t.Error("the image is there")
	}
	names, err := s.Dir.Names()
	if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, useSuffix) }) {
		t.Errorf("%v, %v", names, err)
	}
}

// Jobs that fetch, use and remove images at once: from its prepare to its cleanup a job has
// its image.
func TestPruneDuringJobs(t *testing.T) {
	s := store(t, &registry{digest: "a"}, &bytes.Buffer{})
	s.Log = joblog.NewWriter(discard{})
	stop := make(chan struct{})
	var pruners, jobs sync.WaitGroup
	for range 2 {
		pruner := reopened(t, s)
		pruners.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if err := pruner.Prune(Limits{Unused: 1, Size: 1}, time.Now().Add(time.Minute)); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for n := range 6 {
		one := reopened(t, s)
		jobs.Go(func() {
			for round := range 30 {
				one.Job = fmt.Sprintf("r-%d-%d", n, round)
				e, err := one.Get(t.Context(), busybox(t), []image.PullPolicy{image.IfNotPresent})
				if err != nil {
					t.Error(err)
					return
				}
				for range 20 {
					if !one.has(e) {
						t.Errorf("the image of job %s is gone", one.Job)
						break
					}
				}
				one.Release()
			}
		})
	}
	jobs.Wait()
	close(stop)
	pruners.Wait()
}
