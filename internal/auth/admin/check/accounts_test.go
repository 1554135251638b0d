package check

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/harness/testutil"
)

// stateOf is a new directory of an account.
func stateOf(t *testing.T, uid int) job.AbsPath {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it gives directories to another account")
	}
	dir := t.TempDir()
	testutil.Must(t, os.Chown(dir, uid, -1))
	return testutil.AbsPath(t, dir)
}

// daemonUID is an account of every Linux system; none has the other id.
const (
	daemonUID = 1
	unusedUID = 0x7ffffff0
)

// TestServiceAccount: the owner of the state is the account of the service where root looks
// at an installation of another account.
func TestServiceAccount(t *testing.T) {
	for name, tt := range map[string]struct {
		uid    job.UID
		owner  int
		helper account.Helper
		want   string
	}{
		"the service's":             {0, daemonUID, account.Helper{}, "daemon"},
		"root's":                    {0, 0, account.Helper{}, ""},
		"looked at by the service":  {daemonUID, daemonUID, account.Helper{}, ""},
		"the helper's":              {0, daemonUID, account.Helper{InUse: true, UID: daemonUID}, ""},
		"not that of the helper":    {0, daemonUID, account.Helper{InUse: true, UID: 2}, "daemon"},
		"of a helper not in use":    {0, daemonUID, account.Helper{UID: daemonUID}, "daemon"},
		"of an account that is not": {0, unusedUID, account.Helper{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := Site{UID: tt.uid, StateDir: stateOf(t, tt.owner), Helper: tt.helper, Names: account.System(nil, nil)}
			if got, other := serviceAccount(t.Context(), s); got.String() != tt.want || other != (tt.want != "") {
				t.Errorf("%q %v", got, other)
			}
		})
	}
	missing := Site{StateDir: testutil.AbsPath(t, filepath.Join(t.TempDir(), "missing")), Names: account.System(nil, nil)}
	if got, other := serviceAccount(t.Context(), missing); other {
		t.Errorf("without a state: %q", got)
	}
}

// TestViewpoint: what this account cannot see is left out, and the finding has who can.
func TestViewpoint(t *testing.T) {
	s := Site{StateDir: stateOf(t, daemonUID), Names: account.System(nil, nil), Config: &config.Config{}}
	found(t, viewpoint(t.Context(), s), "warn the runner's service is daemon")
	found(t, shadow(t.Context(), s))
	s.StateDir = stateOf(t, 0)
	found(t, viewpoint(t.Context(), s))
	found(t, shadow(t.Context(), s), "ok are refused")
	s.UID, s.Closed = daemonUID, true
	found(t, viewpoint(t.Context(), s), "warn is closed to uid 1")
}

func TestShadow(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s := Site{UID: unusedUID, Names: account.System(nil, nil), Config: &config.Config{}}
	found(t, shadow(t.Context(), s)) // nameService reports the missing account
	s.Helper = account.Helper{InUse: true, Name: testutil.Username(t, "helper")}
	found(t, shadow(ended, s), "fail getent shadow")
}

// TestShadowReader: root runs getent for shadow(5) as itself.
func TestShadowReader(t *testing.T) {
	used := account.Helper{InUse: true, Name: testutil.Username(t, "helper")}
	for name, tt := range map[string]struct {
		uid    job.UID
		helper account.Helper
		want   string
	}{
		"root":                    {0, account.Helper{}, "root"},
		"root with a helper":      {0, used, "root"},
		"the service with one":    {daemonUID, used, "helper"},
		"the service without one": {daemonUID, account.Helper{Name: used.Name}, "daemon"},
		"an account that is not":  {unusedUID, account.Helper{}, ""},
	} {
		s := Site{UID: tt.uid, Helper: tt.helper, Names: account.System(nil, nil)}
		if got, err := s.shadowReader(t.Context()); got.String() != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestNameService(t *testing.T) {
	found(t, nameService(t.Context(), Site{Names: account.System(nil, nil)}), "ok has root")
	found(t, nameService(t.Context(), Site{UID: unusedUID, Names: account.System(nil, nil)}), "fail no entry for its user id")
	root := testutil.Username(t, "root")
	found(t, judgeLookup(0, root, slow, nil), "ok has root")
	found(t, judgeLookup(0, root, slow+100*time.Millisecond, nil), "warn took 2.1s")
	found(t, judgeLookup(0, root, time.Hour, errors.New("away")), "fail away")
}

func TestJudgeNologin(t *testing.T) {
	found(t, judgeNologin(false, true))
	found(t, judgeNologin(true, false))
	found(t, judgeNologin(true, true), "warn every job is refused")
}

func TestJudgeShadow(t *testing.T) {
	name, err := job.ParseUsername("runner")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		reads, required bool
		want            string
	}{
		{true, false, "ok are refused, as far as shadow(5) has them"},
		{true, true, "ok are refused, as far as shadow(5) has them"},
		{false, false, "warn locked and expired accounts run jobs"},
		{false, true, "fail auth.require_shadow refuses every job"},
	} {
		found(t, judgeShadow(c.reads, c.required, name), c.want)
	}
}

func TestHelper(t *testing.T) {
	for want, site := range map[string]Site{
		"fail no such account":      {Helper: account.Helper{Required: true, Problem: "no such account", Fix: "run: useradd"}},
		"ok can change neither":     {UID: 998, Helper: account.Helper{Required: true, InUse: true}},
		"ok getent runs as":         {Helper: account.Helper{InUse: true}},
		"warn getent runs as root":  {Helper: account.Helper{Fix: "run: useradd"}},
		"fail it has a login shell": {Helper: account.Helper{Problem: "it has a login shell", Fix: "run: usermod"}},
	} {
		found(t, helper(t.Context(), site), want)
	}
	for name, site := range map[string]Site{"sudo": {UID: 998}, "root by name": {}} {
		if lines := helper(t.Context(), site); len(lines) > 0 {
			t.Errorf("%s: %+v", name, lines)
		}
	}
}
