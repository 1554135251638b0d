package idtoken

import (
	"crypto/rsa"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/failure"
)

// impostor is a key set that has none of the server's keys.
func impostor(t *testing.T) []byte {
	return marshal(t, set(jwk("impostor", &otherKey().PublicKey)))
}

// notices are the warnings about keys that all changed.
func (s *site) notices() (all []string) {
	for _, w := range s.warned {
		if text := w.Error(); strings.Contains(text, "all keys changed at once") || strings.Contains(text, "former keys are back") {
			all = append(all, text)
		}
	}
	return all
}

// TestEveryKeyChanged: H11, another set at the server's address does not take the former
// keys' place, the operator gets a warning, and the former server returns.
func TestEveryKeyChanged(t *testing.T) {
	s := primed(t)
	other, own := impostor(t), soundSet(t)
	for i, st := range []struct {
		after   time.Duration
		kid     string
		set     []byte
		asked   int32
		served  bool
		notices int
	}{
		{2 * time.Minute, "impostor", other, 2, true, 1},
		{2*time.Minute + time.Second, ciID, other, 2, true, 1}, // not asked for within a minute
		{4 * time.Minute, ciID, other, 3, true, 1},
		{4 * time.Minute, "impostor", other, 3, true, 1},
		{6 * time.Minute, loginID, own, 4, true, 2}, // the server is back
		{6*time.Minute + time.Second, "impostor", own, 4, false, 2},
		{8 * time.Minute, "impostor", own, 5, false, 2},
		{8 * time.Minute, ciID, own, 5, true, 2},
	} {
		s.behave(sends(st.set))
		got, err := s.keys().Get(ctx, st.kid, issued.Add(st.after))
		if (err == nil) != st.served || got.Has(st.kid) != st.served {
			t.Errorf("step %d: %v, %v", i, got, err)
		}
		s.wantAsked(st.asked)
		if n := s.notices(); len(n) != st.notices {
			t.Errorf("step %d: notices %q", i, n)
		}
	}
	n := s.notices()
	for i, want := range []string{
		s.https.URL + "/oauth/discovery/keys: all keys changed at once, from " + loginID + ", " + ciID + " (fetched ", "the former keys are back (" + loginID + ", " + ciID + "): those fetched in between are no longer trusted: impostor (fetched ",
	} {
		if !strings.Contains(n[i], want) {
			t.Errorf("notice %q, want %q", n[i], want)
		}
	}
}

// TestFormerKeysEnd: keys that the server no longer publishes are trusted as
// long as any, and not longer while it is down.
func TestFormerKeysEnd(t *testing.T) {
	const day = 24 * time.Hour
	s := primed(t)
	s.behave(sends(impostor(t)))
	ask := func(after time.Duration, kid string, served bool) {
		t.Helper()
		if got, err := s.keys().Get(ctx, kid, issued.Add(after)); (err == nil) != served {
			t.Errorf("%s after %v: %v, %v", kid, after, got, err)
		}
	}
	ask(2*time.Minute, "impostor", true)
	ask(day, ciID, true)
	ask(day+time.Second, ciID, false)
	s.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	ask(day+3*time.Minute, ciID, false)
	ask(3*day, "impostor", true) // stale, and the server is down
}

// TestFormerKeysServerDown: they serve for their day.
func TestFormerKeysServerDown(t *testing.T) {
	s := primed(t)
	s.behave(sends(impostor(t)))
	if _, err := s.keys().Get(ctx, "impostor", issued.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	s.behave(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	before := len(s.warned)
	if got, err := s.keys().Get(ctx, ciID, issued.Add(4*time.Minute)); err != nil || !got.Has(ciID) || len(s.warned) == before {
		t.Errorf("%v, %v, warned %v", got, err, s.warned[before:])
	}
	if set, err := s.keys().Peek(ctx, ciID, issued.Add(4*time.Minute)); err != nil || !set.Has(ciID) {
		t.Errorf("an administrator sees %v, %v", set, err)
	}
}

// TestRotationNoWarning: what GitLab does when it rotates a key, and sets that
// change while others of the former keys are kept.
func TestRotationNoWarning(t *testing.T) {
	s := primed(t)
	both := marshal(t, set(jwk(ciID, &ciKey().PublicKey), jwk("next", &otherKey().PublicKey)))
	s.behave(sends(both))
	if _, err := s.keys().Get(ctx, "next", issued.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	s.behave(sends(marshal(t, set(jwk("next", &otherKey().PublicKey)))))
	if _, err := s.keys().Refresh(ctx, issued.Add(4*time.Minute), false); err != nil {
		t.Fatal(err)
	}
	if len(s.warned) > 0 {
		t.Errorf("warned: %v", s.warned)
	}
	if _, err := s.keys().Get(ctx, ciID, issued.Add(4*time.Minute)); err == nil {
		t.Error("the withdrawn key is still trusted")
	}
}

// TestSameIDsOfOtherKeys: any server can choose an id.
func TestSameIDsOfOtherKeys(t *testing.T) {
	s := primed(t)
	s.behave(sends(marshal(t, set(jwk(ciID, &otherKey().PublicKey), jwk(loginID, &otherKey().PublicKey)))))
	if _, err := s.keys().Refresh(ctx, issued.Add(2*time.Minute), false); err != nil {
		t.Fatal(err)
	}
	if n := s.notices(); len(n) != 1 {
		t.Errorf("notices %q", n)
	}
}

// TestReset: afterwards no former key is trusted; Refresh keeps them.
func TestReset(t *testing.T) {
	for name, tc := range map[string]struct {
		fetch  func(*Keys) error
		served bool
	}{
		"refresh": {func(k *Keys) error { _, err := k.Refresh(ctx, issued.Add(2*time.Minute), false); return err }, true},
		"forget":  {func(k *Keys) error { _, err := k.Refresh(ctx, issued.Add(2*time.Minute), true); return err }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := primed(t)
			s.behave(sends(impostor(t)))
			if err := tc.fetch(s.keys()); err != nil {
				t.Fatal(err)
			}
			if n := s.notices(); len(n) != 1 {
				t.Errorf("notices %q", n)
			}
			_, err := s.keys().Get(ctx, ciID, issued.Add(2*time.Minute+time.Second))
			if (err == nil) != tc.served {
				t.Errorf("the former key: %v", err)
			}
		})
	}
}

// TestReplacing walks what can be kept when a fresh set comes.
func TestReplacing(t *testing.T) {
	of := func(kid string) fetchedSet {
		key := map[string]func() *rsa.PrivateKey{"a": ciKey, "b": loginKey, "c": otherKey}[kid]
		k, err := parseKeySet(marshal(t, set(jwk(kid, &key().PublicKey))))
		if err != nil {
			t.Fatal(err)
		}
		return fetchedSet{set: k, fetched: issued}
	}
	a, b, c := of("a"), of("b"), of("c")
	for name, tc := range map[string]struct {
		kept, before *fetchedSet
		fresh        fetchedSet
		want         string // the former set
		change       string
	}{
		"the first":                  {nil, nil, a, "", ""},
		"the same again":             {&a, nil, a, "", ""},
		"the same, with another":     {&a, &b, a, "b", ""},
		"another":                    {&a, nil, b, "a", "all keys changed at once"},
		"another, with a third":      {&a, &b, c, "a", "all keys changed at once"},
		"the former":                 {&a, &b, b, "", "the former keys are back"},
		"the first of a damaged one": {nil, &b, a, "", ""},
	} {
		kept := cachedKeys{former: tc.before}
		if tc.kept != nil {
			kept.fetchedSet = *tc.kept
		}
		next, change := cachedKeys{fetchedSet: tc.fresh}.replace(kept)
		former := ""
		if next.former != nil {
			former = next.former.set.String()
		}
		if former != tc.want || !strings.HasPrefix(change, tc.change) || (change == "") != (tc.change == "") || !next.set.shares(tc.fresh.set) {
			t.Errorf("%s: former %q, change %q", name, former, change)
		}
	}
}

// TestDamagedFormerSet: a cache file is accepted as a whole or not at all.
func TestDamagedFormerSet(t *testing.T) {
	s := primed(t)
	s.behave(sends(impostor(t)))
	if _, err := s.keys().Refresh(ctx, issued.Add(2*time.Minute), false); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.stateFile())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := decodeCached([]byte(`{"version":1,"url":"u","set":`+string(soundSet(t))+`,"before":{"fetched":1,"set":{"keys":[]}}}`), "u"); err == nil {
		t.Error("a record with a former set of no use was read")
	}
	r, err := decodeCached(text, s.keys().url.String())
	if err != nil || r.former == nil || !r.former.set.Has(ciID) || !r.former.fetched.Equal(issued.Truncate(time.Second)) {
		t.Errorf("read %+v, %v", r, err)
	}
}

func TestKeySetString(t *testing.T) {
	var keys []fields
	for _, kid := range []string{"f", "e", "d", "c", "b", "a"} {
		keys = append(keys, jwk(kid, &otherKey().PublicKey))
	}
	many, err := parseKeySet(marshal(t, set(keys...)))
	few, ferr := parseKeySet(marshal(t, set(keys[2:]...)))
	if err != nil || ferr != nil || many.String() != "a, b, c, d, …" || few.String() != "a, b, c, d" {
		t.Errorf("%q, %q, %v, %v", many, few, err, ferr)
	}
	if failure.KindOf(unknownKey("x", cachedKeys{}, issued)) != failure.System {
		t.Error("a key that is not known yet is a verdict")
	}
}
