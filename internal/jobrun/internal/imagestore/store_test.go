package imagestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/container/podman"
	"jacamar-ci/internal/jobrun/internal/safedir"
)

// registry plays podman and a registry with one image.
type registry struct {
	mu     sync.Mutex
	digest string
	reply  container.Reply // of a pull
	pulls  int
	auth   string
	during func(ctx context.Context) // a pull
}

func (r *registry) run(ctx context.Context, c container.Command, files []*os.File) container.Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := strings.Join(c.Argv, " ")
	switch {
	case strings.Contains(line, " pull "):
		r.pulls++
		if len(files) > 0 {
			text := make([]byte, 4096)
			n, _ := files[0].Read(text)
			r.auth = string(text[:n])
		}
		if r.during != nil {
			r.during(ctx)
		}
		if ctx.Err() != nil {
			return container.Reply{Err: errors.New("timed out")}
		}
		return r.reply
	case strings.Contains(line, " image inspect "):
		id := strings.Repeat(r.digest, 64)
		return container.Reply{Stdout: `[{"Id":"` + id + `","Digest":"sha256:` + id + `","Size":2500000,"Config":{"User":"7","Env":["A=b"]}}]`}
	}
	return container.Reply{Stdout: "podman version 4.3.1"}
}

func store(t *testing.T, r *registry, log *bytes.Buffer) Store {
	t.Helper()
	dir, err := safedir.OpenBase(privateDir(t), safedir.Rules{Owner: uid()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	return Store{
		Dir: dir, Engine: podman.Podman{}, Program: "/usr/bin/podman", Run: r.run, Account: container.Account{UID: uint32(uid())}, Temp: privateDir(t),
		Job: "r-1", Log: joblog.NewWriter(log), Timeout: time.Minute,
	}
}

// reopened is the store of another process, which has descriptors of its own.
func reopened(t *testing.T, s Store) Store {
	t.Helper()
	dir, err := safedir.OpenBase(s.Dir.Path(), safedir.Rules{Owner: uid()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	s.Dir = dir
	return s
}

func busybox(t *testing.T) image.Request {
	t.Helper()
	ref, err := image.ParseReference("r.example.com/busybox:1")
	if err != nil {
		t.Fatal(err)
	}
	return image.Request{Reference: ref}
}

func get(t *testing.T, s Store, policies ...image.PullPolicy) (Entry, error) {
	t.Helper()
	return s.Get(t.Context(), busybox(t), policies)
}

// settled fails for anything in the store except images, entries and locks.
func settled(t *testing.T, s Store) {
	t.Helper()
	for _, path := range append(left(t, s.Dir.Path()), left(t, s.Temp)...) {
		if strings.HasSuffix(path, newSuffix) || strings.Contains(path, statePrefix) {
			t.Errorf("left: %s", path)
		}
	}
}

func TestPolicies(t *testing.T) {
	var log bytes.Buffer
	r := &registry{digest: "a"}
	s := store(t, r, &log)
	if _, err := get(t, s, image.Never); failure.KindOf(err) != failure.Build || r.pulls != 0 {
		t.Errorf("never: %v, %d pulls", err, r.pulls)
	}
	first, err := get(t, s, image.Never, image.IfNotPresent)
	if err != nil || r.pulls != 1 || first.Config.User != "7" {
		t.Fatalf("%+v, %v, %d pulls", first, err, r.pulls)
	}
	again, err := get(t, s, image.IfNotPresent)
	if err != nil || r.pulls != 1 || again.Place != first.Place {
		t.Errorf("present: %+v, %v, %d pulls", again, err, r.pulls)
	}
	if same, err := get(t, s, image.Always); err != nil || r.pulls != 2 || same.Place != first.Place {
		t.Errorf("unchanged: %+v, %v, %d pulls", same, err, r.pulls)
	}
	r.digest = "b"
	moved, err := get(t, s, image.Always)
	if err != nil || r.pulls != 4 || moved.Place == first.Place {
		t.Errorf("changed: %+v, %v, %d pulls", moved, err, r.pulls)
	}
	if _, err := os.Stat(first.Place.Path.String()); err != nil {
		t.Errorf("the image of a running job is gone: %v", err)
	}
	if now, err := get(t, s, image.Never); err != nil || now.Place != moved.Place {
		t.Errorf("%+v, %v", now, err)
	}
	settled(t, s)
	for _, want := range []string{"Image r.example.com/busybox:1 (pull policy never)", "pulling r.example.com/busybox:1", "@sha256:aaa", "(3 MB", "with podman 4.3.1", "present", "unchanged"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, log.String())
		}
	}
}

func TestLost(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	e, err := get(t, s, image.IfNotPresent)
	if err != nil {
		t.Fatal(err)
	}
	for n, damage := range []func() error{
		func() error { return os.RemoveAll(e.Place.Path.String()) },
		func() error {
			return os.WriteFile(s.Dir.Path().String()+"/"+strings.Split(filepath.Base(e.Place.Path.String()), "-")[0]+".json", []byte("{"), 0o600)
		},
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if _, err := get(t, s, image.IfNotPresent); err != nil || r.pulls != n+2 {
			t.Errorf("%v, %d pulls", err, r.pulls)
		}
	}
}

func TestConcurrentJobsFetchOnce(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	s.Log = joblog.NewWriter(discard{})
	var wait, begun sync.WaitGroup
	begun.Add(10)
	r.during = func(context.Context) { begun.Wait() }
	errs := make([]error, 10)
	for i := range errs {
		one := reopened(t, s)
		wait.Go(func() {
			one.Job = "r-" + string(rune('a'+i))
			begun.Done()
			_, errs[i] = one.Get(t.Context(), busybox(t), []image.PullPolicy{image.IfNotPresent})
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil || r.pulls != 1 {
		t.Errorf("%v, %d pulls", err, r.pulls)
	}
	settled(t, s)
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestFailures(t *testing.T) {
	for stderr, want := range map[string]struct {
		kind failure.Kind
		text string
	}{
		"Error: manifest unknown":                          {failure.Build, "manifest unknown"},
		"Error: unauthorized: authentication required":     {failure.Build, "unauthorized"},
		"Error: dial tcp: connection refused":              {failure.System, "connection refused"},
		"Error: toomanyrequests: limit":                    {failure.System, "toomanyrequests"},
		"Error: x509: unknown authority":                   {failure.System, "x509"},
		"Error: write: no space left on device":            {failure.System, "no space left"},
		"unshare: unshare failed: No space left on device": {failure.System, "unshare failed"},
	} {
		r := &registry{digest: "a", reply: container.Reply{Code: 125, Stderr: stderr}}
		s := store(t, r, &bytes.Buffer{})
		_, err := get(t, s, image.IfNotPresent)
		if err == nil || failure.KindOf(err) != want.kind || !strings.Contains(err.Error(), want.text) {
			t.Errorf("%s: %v", stderr, err)
		}
		settled(t, s)
	}
}

func TestTimeout(t *testing.T) {
	r := &registry{digest: "a", during: func(ctx context.Context) { <-ctx.Done() }}
	s := store(t, r, &bytes.Buffer{})
	s.Timeout = 20 * time.Millisecond
	if _, err := get(t, s, image.IfNotPresent); failure.KindOf(err) != failure.System || !strings.Contains(err.Error(), "took longer than") {
		t.Errorf("%v", err)
	}
	settled(t, s)
}

// TestWaitEnds: a job that waits for another one's fetch ends when that has ended, when its
// own time is over, or when it is stopped.
func TestWaitEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		limit      time.Duration
		free, stop bool
		want       string
	}{
		"the fetch ends":   {time.Minute, true, false, ""},
		"too long":         {50 * time.Millisecond, false, false, "took longer than 50ms"},
		"stopped":          {time.Minute, false, true, "context canceled"},
		"stopped and free": {time.Minute, true, true, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &registry{digest: "a"}
			s := store(t, r, &bytes.Buffer{})
			other := reopened(t, s).tryLock(key(container.Store, busybox(t).Reference, "") + lockSuffix)
			defer other.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s.Timeout, s.Log = tt.limit, joblog.NewWriter(onWrite(func(line string) {
				waiting := strings.Contains(line, "waiting: ")
				if waiting && tt.stop {
					cancel()
				}
				if waiting && tt.free {
					other.Close()
				}
			}))
			_, err := s.Get(ctx, busybox(t), []image.PullPolicy{image.IfNotPresent})
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// onWrite is a job's log that calls a function for each line.
type onWrite func(line string)

func (f onWrite) Write(p []byte) (int, error) {
	f(string(p))
	return len(p), nil
}

func TestLogin(t *testing.T) {
	var log bytes.Buffer
	r := &registry{digest: "a"}
	s := store(t, r, &log)
	s.Logins = []image.LoginSource{
		{Source: "first", Credentials: []image.Credential{image.NewCredential("other.example.com", "u", job.NewSecret("x"))}},
		{Source: "second", Credentials: []image.Credential{image.NewCredential("r.example.com", "u", job.NewSecret("pw-text"))}},
	}
	if _, err := get(t, s, image.IfNotPresent); err != nil || !strings.Contains(r.auth, `"auths":{"r.example.com"`) {
		t.Errorf("%v, %q", err, r.auth)
	}
	if !strings.Contains(log.String(), "(login: second)") || strings.Contains(log.String(), "pw-text") {
		t.Error(log.String())
	}
}

// What a killed stage has left is removed by the next fetch, or by the job's cleanup.
func TestUnfinished(t *testing.T) {
	r := &registry{digest: "a"}
	s := store(t, r, &bytes.Buffer{})
	k := key(container.Store, busybox(t).Reference, "")
	for _, name := range []string{k + ".other-job" + newSuffix, "another-key.r-1" + newSuffix, "another-key.r-2" + newSuffix} {
		dir, err := s.Dir.Make(name)
		if err != nil {
			t.Fatal(err)
		}
		dir.Close()
	}
	if _, err := get(t, s, image.IfNotPresent); err != nil || len(left(t, s.Dir.Path())) != 6 {
		t.Errorf("%v: %v", err, left(t, s.Dir.Path()))
	}
	s.Release()
	if all := left(t, s.Dir.Path()); len(all) != 4 {
		t.Errorf("%v", all)
	}
}
