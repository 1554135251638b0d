package idtoken

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
	"jacamar-ci/test/harness/testutil"
)

var ctx = context.Background()

// step is one question of one process, some time after the first.
type step struct {
	after time.Duration
	kid   string
	up    bool
	asked int32 // questions to the server so far
	want  outcome
}

type outcome string

const (
	served  outcome = "served"
	warned  outcome = "served with a warning"
	refused outcome = "refused"
	down    outcome = "no answer"
	later   outcome = "not fetched yet"
)

func (s *site) ask(st step) outcome {
	before := len(s.warned)
	s.behave(sends(soundSet(s.t)))
	if !st.up {
		s.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	}
	set, err := s.keys().Get(ctx, st.kid, issued.Add(st.after))
	rule, isRule := RuleOf(err)
	switch {
	case isRule && rule == RuleKey && isDenied(err):
		return refused
	case err != nil && failure.KindOf(err) == failure.System:
		line, hint := failure.ForUser(err, false, "job 9")
		if line == "this CI resource has not fetched the key of the job's id_token yet" {
			s.hints = append(s.hints, hint)
			return later
		}
		return down
	case err == nil && set.Has(st.kid) && len(s.warned) > before:
		return warned
	case err == nil && set.Has(st.kid):
		return served
	}
	s.t.Fatalf("For: %v, %v", set, err)
	return ""
}

func TestKeysOverTime(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"the network is used once a day", []step{
			{0, ciID, true, 1, served},
			{time.Second, ciID, true, 1, served},
			{time.Hour, loginID, true, 1, served},
			{day, ciID, true, 1, served},
			{day + time.Second, ciID, true, 2, served},
			{2 * day, ciID, true, 2, served},
		}},
		{"H11 down with a fresh set", []step{
			{0, ciID, true, 1, served},
			{day, ciID, false, 1, served},
		}},
		{"H11 down with a stale set, asked once a minute", []step{
			{0, ciID, true, 1, served},
			{day + time.Second, ciID, false, 2, warned},
			{day + 2*time.Second, ciID, false, 2, warned},
			{day + 61*time.Second, ciID, false, 2, warned},
			{day + 62*time.Second, ciID, false, 3, warned},
			{7*day - time.Second, ciID, false, 4, warned},
			{7*day + time.Second, ciID, false, 4, down},
			{7*day + time.Minute, ciID, false, 5, down},
			{7*day + 3*time.Minute, ciID, true, 6, served},
		}},
		{"H11 down from the start", []step{
			{0, ciID, false, 1, down},
			{time.Second, ciID, false, 2, down},
			{2 * time.Second, ciID, true, 3, served},
		}},
		{"H2 made-up key ids ask once a minute", []step{
			{0, ciID, true, 1, served},
			{time.Second, "made-up", true, 1, later},
			{60 * time.Second, "made-up", true, 1, later},
			{61 * time.Second, "made-up", true, 2, refused},
			{62 * time.Second, "made-up-2", true, 2, later},
			{63 * time.Second, ciID, true, 2, served},
			{121 * time.Second, "made-up", true, 2, refused}, // the answer of a minute ago was about this very key
			{122 * time.Second, "made-up", true, 3, refused},
		}},
		{"an unknown key while the server is down is no verdict", []step{
			{0, ciID, true, 1, served},
			{2 * time.Minute, "rotated", false, 2, down},
			{2*time.Minute + time.Second, "rotated", false, 2, down},
			{2*time.Minute + time.Second, ciID, false, 2, served},
		}},
		{"the first of all tokens is made up", []step{
			{0, "made-up", true, 1, refused},
			{time.Second, "made-up", true, 1, refused},
			{time.Second, "made-up-2", true, 1, later},
			{time.Second, ciID, true, 1, served},
		}},
		{"a set of later than now does not serve while the server is down", []step{
			{0, ciID, true, 1, served},
			{-time.Hour, ciID, false, 2, down},
			{-time.Hour + time.Second, ciID, false, 2, down},
		}},
		{"a clock set back asks again", []step{
			{0, ciID, true, 1, served},
			{-time.Hour, ciID, true, 2, served},
			{-time.Hour, ciID, true, 2, served},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			for i, st := range c.steps {
				if got := s.ask(st); got != st.want {
					t.Errorf("step %d after %s: %s, want %s", i, st.after, got, st.want)
				}
				s.wantAsked(st.asked)
			}
		})
	}
}

// TestWhenToRetry: the hint to retry contains the time of the next request.
func TestWhenToRetry(t *testing.T) {
	s := primed(t)
	for after, want := range map[time.Duration]string{0: "1m0s", 20 * time.Second: "40s", 60 * time.Second: "1s"} {
		s.hints = nil
		if got := s.ask(step{after: after, kid: "newer", up: true}); got != later || len(s.hints) != 1 || !strings.HasPrefix(s.hints[0], "retry the job in "+want+": ") {
			t.Errorf("after %v: %s, %q, want %s", after, got, s.hints, want)
		}
	}
	s.wantAsked(1)
}

// TestH11Rotation: the key changes between two stages, and the second stage's
// token is signed with the new one. A withdrawn key is not trusted.
func TestH11Rotation(t *testing.T) {
	s := primed(t)
	s.behave(sends(marshal(t, set(jwk(loginID, &loginKey().PublicKey), jwk("new", &otherKey().PublicKey)))))
	got, err := s.keys().Get(ctx, "new", issued.Add(2*time.Minute))
	if err != nil || !got.Has("new") || len(s.warned) > 0 {
		t.Fatalf("H11 key rotated between stages: %v, %v, %v", got, err, s.warned)
	}
	s.wantAsked(2)
	if set, err := s.keys().Get(ctx, ciID, issued.Add(4*time.Minute)); err == nil {
		t.Errorf("a withdrawn key is still used: %v", set)
	}
	s.wantAsked(3)
}

// TestRotationAtOnce: several jobs whose tokens have a new key begin at once. One of them sends a
// request, and the others wait for the result.
func TestRotationAtOnce(t *testing.T) {
	const jobs = 6
	s := primed(t)
	var begun, all sync.WaitGroup
	answer := sends(marshal(t, set(jwk(loginID, &loginKey().PublicKey), jwk("new", &otherKey().PublicKey))))
	s.behave(func(w http.ResponseWriter, r *http.Request) { begun.Wait(); answer(w, r) })
	begun.Add(jobs)
	for range jobs {
		k := s.keys()
		all.Go(func() {
			begun.Done()
			if got, err := k.Get(ctx, "new", issued.Add(2*time.Minute)); err != nil || !got.Has("new") {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	all.Wait()
	s.wantAsked(2)
}

// TestTurnIsNotLeft: a process that was stopped while it had its turn keeps no job out.
func TestTurnIsNotLeft(t *testing.T) {
	s := primed(t)
	s.behave(sends(marshal(t, set(jwk("new", &otherKey().PublicKey)))))
	k := s.keys()
	k.turn = 10 * time.Millisecond
	release, err := s.settings.State.Lock(ctx, time.Now())
	testutil.Must(t, err)
	defer release()
	if got, err := k.Get(ctx, "new", issued.Add(2*time.Minute)); err != nil || !got.Has("new") {
		t.Errorf("%v, %v", got, err)
	}
	s.wantAsked(2)
}

// TestKeysConcurrently is many processes at once, some of which ask the server,
// while one reader makes sure that what is kept is whole at every moment.
func TestKeysConcurrently(t *testing.T) {
	s := primed(t)
	file := s.stateFile()
	k := s.keys()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := k.Refresh(ctx, issued, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for reads := 0; ; reads++ {
		b, err := os.ReadFile(file)
		if err == nil {
			_, err = decodeCached(b, k.url.String())
		}
		if err != nil {
			<-done
			t.Fatalf("read %d: %v", reads, err)
		}
		select {
		case <-done:
			if files, _ := os.ReadDir(s.stateDir.String()); len(files) != 1 {
				t.Errorf("%d files are left, want 1", len(files))
			}
			return
		default:
		}
	}
}

func TestRefresh(t *testing.T) {
	s := primed(t)
	set, err := s.keys().Refresh(ctx, issued.Add(time.Second), false)
	if err != nil || set.Len() != 2 {
		t.Fatalf("Refresh: %v, %v", set, err)
	}
	s.wantAsked(2)
	s.down()
	if _, err := s.keys().Refresh(ctx, issued.Add(time.Hour), false); err == nil {
		t.Error("Refresh succeeded without a server")
	}
	// The failure takes nothing away.
	if _, err := s.keys().Get(ctx, ciID, issued.Add(24*time.Hour+time.Second)); err != nil {
		t.Error(err)
	}
}

func TestFaultyCAFile(t *testing.T) {
	s := newSite(t)
	s.settings.CAFile = testutil.AbsPath(t, "/nonexistent/ca.pem")
	if _, err := s.keys().Get(ctx, ciID, issued); failure.KindOf(err) != failure.Config {
		t.Errorf("error %v, want a fault of the configuration", err)
	}
}

// TestProbeIssuer: the issuer is the one of GitLab's own document, where there is one.
func TestProbeIssuer(t *testing.T) {
	serve := func(document http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/"+discoveryDocument {
				document(w, r)
				return
			}
			sends(soundSet(t))(w, r)
		}
	}
	for text, want := range map[string]string{
		`{"issuer":"https://gitlab.example.org"}`: "https://gitlab.example.org",
		`{"issuer":5}`: "", `{}`: "", `{"issuer":"x"`: "", "": "",
	} {
		s := newSite(t)
		s.behave(serve(sends([]byte(text))))
		if p := s.keys().Probe(ctx, time.Now()); p.Err != nil || p.Issuer != want {
			t.Errorf("%s: issuer %q (%v), want %q", text, p.Issuer, p.Err, want)
		}
	}
	s := newSite(t)
	s.behave(serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	if p := s.keys().Probe(ctx, time.Now()); p.Err != nil || p.Issuer != "" {
		t.Errorf("without a document: %+v", p)
	}
	s.settings.JWKS, s.settings.GitLab = parseURL(t, s.https.URL+"/oauth/discovery/keys"), nil
	if p := s.keys().Probe(ctx, time.Now()); p.Err != nil || p.Issuer != "" {
		t.Errorf("without a GitLab: %+v", p)
	}
}

// TestKeep: a set that is kept is used as one that was fetched; one that is no set is not.
func TestKeep(t *testing.T) {
	s := newSite(t)
	s.down()
	testutil.Must(t, os.Mkdir(s.stateDir.String(), 0o700))
	now := time.Now()
	if err := s.keys().Keep([]byte(`{"keys":[]}`), now); err == nil {
		t.Error("an empty set was kept")
	}
	if err := s.keys().Keep(soundSet(t), now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.keys().Get(ctx, ciID, now); err != nil {
		t.Error(err)
	}
}

func TestProbe(t *testing.T) {
	now := time.Now()
	t.Run("all well", func(t *testing.T) {
		s := newSite(t)
		if _, err := s.keys().Get(ctx, ciID, now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		p := s.keys().Probe(ctx, now)
		if p.Err != nil || p.CacheErr != nil || !p.Connected || !p.Secured || p.Keys != 2 || p.CachedKeys != 2 {
			t.Errorf("Probe: %+v", p)
		}
		if p.CachedAge < time.Hour || p.CachedAge > time.Hour+time.Second {
			t.Errorf("age %s, want an hour", p.CachedAge)
		}
		if !p.SkewKnown || p.Skew.Abs() > 2*time.Second {
			t.Errorf("skew %s, %v; want about none", p.Skew, p.SkewKnown)
		}
		if want := s.https.URL + "/oauth/discovery/keys"; p.URL != want {
			t.Errorf("URL %q, want %q", p.URL, want)
		}
	})
	t.Run("other keys than those that are kept", func(t *testing.T) {
		s := newSite(t)
		if _, err := s.keys().Get(ctx, ciID, now); err != nil {
			t.Fatal(err)
		}
		if p := s.keys().Probe(ctx, now); p.NoneOffered {
			t.Errorf("the same keys: %+v", p)
		}
		s.behave(sends(impostor(t)))
		if p := s.keys().Probe(ctx, now); !p.NoneOffered || p.Err != nil || p.Keys != 1 {
			t.Errorf("Probe: %+v", p)
		}
		s.behave(sends([]byte(`{"keys":[]}`)))
		if p := s.keys().Probe(ctx, now); p.NoneOffered || p.Err == nil {
			t.Errorf("no keys: %+v", p)
		}
	})
	t.Run("E9 the server's clock is an hour ahead", func(t *testing.T) {
		s := newSite(t)
		s.behave(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", now.Add(time.Hour).UTC().Format(http.TimeFormat))
			sends(soundSet(t))(w, r)
		})
		p := s.keys().Probe(ctx, now)
		if !p.SkewKnown || (p.Skew-time.Hour).Abs() > 2*time.Second {
			t.Errorf("skew %s, %v; want an hour", p.Skew, p.SkewKnown)
		}
	})
	t.Run("no Date", func(t *testing.T) {
		s := newSite(t)
		s.behave(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
			sends(soundSet(t))(w, r)
		})
		if p := s.keys().Probe(ctx, now); p.SkewKnown || p.Err != nil {
			t.Errorf("Probe: %+v", p)
		}
	})
	t.Run("status 500 still has the time", func(t *testing.T) {
		s := newSite(t)
		s.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		if p := s.keys().Probe(ctx, now); !p.SkewKnown || !p.Secured || p.Err == nil {
			t.Errorf("Probe: %+v", p)
		}
	})
	t.Run("foreign certificate", func(t *testing.T) {
		s := newSite(t)
		s.settings.CAFile = caFile(t, testutil.HomeDir(t), otherCA(t))
		if p := s.keys().Probe(ctx, now); !p.Connected || p.Secured || p.Err == nil {
			t.Errorf("Probe: %+v", p)
		}
	})
	t.Run("loopback http", func(t *testing.T) {
		s := newSite(t)
		plain := newPlain(t)
		s.settings.JWKS, s.settings.AnyLoopbackPort = parseURL(t, plain), true
		if p := s.keys().Probe(ctx, now); !p.Connected || p.Secured || p.Err != nil {
			t.Errorf("Probe: %+v", p)
		}
	})
	t.Run("keys of no use", func(t *testing.T) {
		s := newSite(t)
		s.behave(sends([]byte(`{"keys":[]}`)))
		if p := s.keys().Probe(ctx, now); !p.Secured || p.Keys != 0 || p.Err == nil {
			t.Errorf("Probe: %+v", p)
		}
	})
	t.Run("down, and it makes nothing", func(t *testing.T) {
		s := newSite(t)
		s.down()
		p := s.keys().Probe(ctx, now)
		if p.Connected || p.Secured || p.Err == nil || p.CacheErr == nil || p.SkewKnown {
			t.Errorf("Probe: %+v", p)
		}
		if _, err := os.Lstat(s.stateDir.String()); err == nil {
			t.Error("Probe made the state directory")
		}
	})
}

// TestCheckCache: a job can do without a file of cached keys, and not with a damaged one.
func TestCheckCache(t *testing.T) {
	s := newSite(t)
	testutil.Must(t, os.Mkdir(s.stateDir.String(), 0o700), s.keys().CheckCache(), s.keys().Keep(soundSet(t), time.Now()), s.keys().CheckCache())
	testutil.Must(t, os.WriteFile(s.keys().CacheFile(), []byte("x"), 0o600))
	if err := s.keys().CheckCache(); err == nil {
		t.Error("a damaged file can be used")
	}
}
