package noauth

import (
	"context"
	"os"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

func path(t *testing.T, s string) job.AbsPath {
	t.Helper()
	p, err := job.ParseAbsPath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStateTravels(t *testing.T) {
	want := state{Configuration: path(t, "/etc/x.toml"), Dirs: ipc.Dirs{Builds: path(t, "/d/builds"), Cache: path(t, "/d/cache"), Scripts: path(t, "/d/s")}}
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

func TestParseAccount(t *testing.T) {
	a, err := parseAccount("alice:x:5001:5002:Alice, 1st floor\xff:/home/alice:/bin/zsh\n")
	if err != nil || a.Name.String() != "alice" || a.UID != 5001 || a.GID != 5002 || a.Home != path(t, "/home/alice") || a.Shell != path(t, "/bin/zsh") {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := parseAccount("alice:x:5001:5002::/home/alice:\n"); err != nil || a.Shell != path(t, "/bin/sh") {
		t.Errorf("without a shell: %+v %v", a, err)
	}
	for _, line := range []string{
		"", "alice", "alice:x:5001:5002::/home/alice", "alice:x:5001:5002::/home/alice:/bin/sh:more", "1000:x:5001:5002::/h:/bin/sh",
		"alice:x:-1:5002::/h:/bin/sh", "alice:x:4294967295:1::/h:/bin/sh", "alice:x:1:x::/h:/bin/sh", "alice:x:1:1::h:/bin/sh", "alice:x:1:1::/h:sh",
		"alice:x:1:1::/h:/bin/sh\nbob:x:2:2::/h:/bin/sh\n",
	} {
		if a, err := parseAccount(line); err == nil {
			t.Errorf("%q is %+v", line, a)
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
		t.Error("an answer came from nobody")
	}
}

// TestRulesThatNeedAToken: what cannot be proved here is not taken on trust, nor
// passed over.
func TestRulesThatNeedAToken(t *testing.T) {
	alice, err := job.ParseUsername("alice")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := job.ParseUsername("bob")
	if err != nil {
		t.Fatal(err)
	}
	d := driver{account: job.Account{Name: alice}}
	yes := true
	for name, c := range map[string]struct {
		rule    config.Rule
		matches bool
		refused bool
	}{
		"everybody's":     {config.Rule{}, true, false},
		"the account's":   {config.Rule{User: alice}, true, false},
		"another's":       {config.Rule{User: bob}, false, false},
		"a project's":     {config.Rule{Project: "a/b"}, false, true},
		"a namespace's":   {config.Rule{Namespace: "a"}, false, true},
		"protected refs'": {config.Rule{RefProtected: &yes}, false, true},
	} {
		got, err := d.matches(c.rule)
		if got != c.matches || (err != nil) != c.refused || (c.refused && failure.KindOf(err) != failure.Config) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func TestNotForRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is not root")
	}
	err := (&driver{call: Call{Stage: job.Prepare}}).serve(context.Background())
	if failure.KindOf(err) != failure.Denied || !strings.Contains(err.Error(), "not for root") {
		t.Errorf("%v", err)
	}
}

func TestConfigurationIsNamedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		call  string
		state job.AbsPath
		want  string
	}{
		"by nobody":           {"", job.AbsPath{}, "no config stage has named one"},
		"by a relative path":  {"x.toml", job.AbsPath{}, "is not absolute"},
		"by the command line": {"/nonexistent/call.toml", path(t, "/nonexistent/state.toml"), "/nonexistent/call.toml"},
		"by the config stage": {"", path(t, "/nonexistent/state.toml"), "/nonexistent/state.toml"},
	} {
		d := driver{call: Call{Configuration: c.call}, state: state{Configuration: c.state}}
		if _, err := d.configuration(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
