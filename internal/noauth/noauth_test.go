package noauth

import (
	"context"
	"os"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

func pattern(t *testing.T, s string) glob.Pattern {
	t.Helper()
	p, err := glob.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStateTravels(t *testing.T) {
	want := state{Configuration: testutil.AbsPath(t, "/etc/x.toml"), Dirs: ipc.Dirs{Builds: testutil.AbsPath(t, "/d/builds"), Cache: testutil.AbsPath(t, "/d/cache"), Scripts: testutil.AbsPath(t, "/d/s")}}
	text, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, ok, err := decodeState(text)
	want.Version = stateVersion
	if err != nil || !ok || got != want {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	if _, ok, err := decodeState(""); ok || err != nil {
		t.Errorf("no state: %v %v", ok, err)
	}
}

func TestStateOfOthersIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"jacamar-auth's": `{"v":1,"config":"/etc/x.toml","facts":{}}`,
		"another's":      `{"v":"no-auth 0"}`,
		"no version":     `{}`,
		"a wrong path":   `{"v":"no-auth 1","config":"relative"}`,
		"cut off":        `{"v":"no-auth 1"`,
		"not JSON":       "x",
	} {
		if s, ok, err := decodeState(text); err == nil || ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestOwnAccount(t *testing.T) {
	a, err := ownAccount(context.Background())
	if err != nil || int(a.UID) != os.Geteuid() {
		t.Errorf("%+v %v", a, err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ownAccount(ended); err == nil {
		t.Error("an account without an answer")
	}
}

// TestRulesThatNeedAToken: a rule that cannot be decided here is an error, neither a
// match nor a miss.
func TestRulesThatNeedAToken(t *testing.T) {
	alice, err := job.ParseUsername("alice")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := job.ParseUsername("bob")
	if err != nil {
		t.Fatal(err)
	}
	s := ownSession{account: job.Account{Name: alice}}
	yes := true
	for name, c := range map[string]struct {
		rule    config.Matcher
		matches bool
		refused bool
	}{
		"of every job":   {config.Matcher{}, true, false},
		"of the account": {config.Matcher{User: alice}, true, false},
		"another's":      {config.Matcher{User: bob}, false, false},
		"of a project":   {config.Matcher{Project: pattern(t, "a/b")}, false, true},
		"of a namespace": {config.Matcher{Namespace: pattern(t, "a")}, false, true},
		"protected refs": {config.Matcher{RefProtected: &yes}, false, true},
	} {
		got, err := s.matches(c.rule)
		if got != c.matches || (err != nil) != c.refused || (c.refused && failure.KindOf(err) != failure.Config) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestNotForRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is not root")
	}
	err := (&ownSession{Session: driver.Session{Call: driver.Call{Stage: job.Prepare}}}).serve(context.Background())
	if failure.KindOf(err) != failure.Config || !strings.Contains(err.Error(), "not for root") {
		t.Errorf("%v", err)
	}
}
