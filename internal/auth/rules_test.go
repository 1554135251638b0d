package auth

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/auth/internal/idtoken"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/auth/internal/privdrop"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

// TestMatches: a rule is for a job that has all that the rule names.
func TestMatches(t *testing.T) {
	pattern := func(text string) glob.Pattern {
		p, err := glob.Parse(text)
		testutil.Must(t, err)
		return p
	}
	alice, bob, yes, no := testutil.Username(t, "alice"), testutil.Username(t, "bob"), true, false
	id := claims.Identity{}
	id.Project.Path, id.Namespace.Path, id.Ref.Protected = "group/p", "group", true
	for name, tt := range map[string]struct {
		rule config.Matcher
		want bool
	}{
		"of every job":          {config.Matcher{}, true},
		"of the account":        {config.Matcher{User: alice}, true},
		"of another account":    {config.Matcher{User: bob}, false},
		"protected refs":        {config.Matcher{RefProtected: &yes}, true},
		"other refs":            {config.Matcher{RefProtected: &no}, false},
		"of the project":        {config.Matcher{Project: pattern("group/p")}, true},
		"of another project":    {config.Matcher{Project: pattern("group/q")}, false},
		"of the namespace":      {config.Matcher{Namespace: pattern("group")}, true},
		"of another namespace":  {config.Matcher{Namespace: pattern("other")}, false},
		"of all of them":        {config.Matcher{User: alice, RefProtected: &yes, Project: pattern("group/p"), Namespace: pattern("group")}, true},
		"all but the namespace": {config.Matcher{User: alice, RefProtected: &yes, Project: pattern("group/p"), Namespace: pattern("other")}, false},
	} {
		if got := matches(tt.rule, id, alice); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestTokenRules: an expired token is accepted for a time after the config stage and always in
// cleanup; then the rules that config has applied to the same token do not apply again.
func TestTokenRules(t *testing.T) {
	for name, tt := range map[string]struct {
		stage   job.Stage
		resumed bool
		expiry  idtoken.Expiry
		again   bool // the rules of config apply
	}{
		"config":                  {job.Config, false, idtoken.Expiry{}, true},
		"prepare":                 {job.Prepare, true, idtoken.Grace(time.Hour), true},
		"run":                     {job.Run, true, idtoken.Grace(time.Hour), true},
		"cleanup":                 {job.Cleanup, true, idtoken.Ignored(), false},
		"cleanup without a state": {job.Cleanup, false, idtoken.Ignored(), true},
	} {
		d := &authDriver{}
		d.Call.Stage, d.Resumed = tt.stage, tt.resumed
		d.Site.General.JWTExpDelay, d.Site.Auth.RunnerIDs.Items = time.Hour, []job.ID{5}
		r := d.tokenRules()
		if r.Expiry != tt.expiry || slices.Equal(r.RunnerIDs, []job.ID{5}) != tt.again || r.AllowForks == tt.again {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestTogether returns the first error in the order of the functions, and runs them all.
func TestTogether(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	for name, tt := range map[string]struct {
		errs []error
		want error
	}{
		"none":     {[]error{nil, nil, nil}, nil},
		"two":      {[]error{nil, first, second}, first},
		"the last": {[]error{nil, nil, second}, second},
		"nothing":  {nil, nil},
	} {
		ran := make([]bool, len(tt.errs))
		var all []func() error
		for i, err := range tt.errs {
			all = append(all, func() error { ran[i] = true; return err })
		}
		if got := together(all...); got != tt.want || slices.Contains(ran, false) {
			t.Errorf("%s: %v, ran %v", name, got, ran)
		}
	}
}

// TestWithoutGroups: a state has the groups of an account unless they are too many.
func TestWithoutGroups(t *testing.T) {
	few, many := job.GIDs{1, 2, 3}, make(job.GIDs, 20_000)
	for i := range many {
		many[i] = job.GID(2 * i) // no two are consecutive
	}
	for name, tt := range map[string]struct{ groups, want job.GIDs }{"few": {few, few}, "many": {many, nil}, "none": {nil, nil}} {
		if got := withoutGroups(policy.Facts{Account: job.Account{Groups: tt.groups}}).Account.Groups; !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %d groups, want %d", name, len(got), len(tt.want))
		}
	}
}

// TestDelegatedSettings: what the RunAs script returned replaces the site's directory, and its
// message follows the site's.
func TestDelegatedSettings(t *testing.T) {
	dir := func(text string) job.AbsPath { return testutil.AbsPath(t, text) }
	for name, tt := range map[string]struct {
		script        job.AbsPath
		site, message string
		dir, text     string
	}{
		"of the site":   {job.AbsPath{}, "welcome", "", "", "welcome"},
		"of the script": {dir("/scratch/$X"), "", "as svc", "/scratch/$X", "as svc"},
		"both":          {dir("/scratch"), "welcome", "as svc", "/scratch", "welcome\nas svc"},
	} {
		d := &authDriver{}
		d.state.RunAs.DataDir, d.state.RunAs.Message = tt.script, tt.message
		d.Site.General.JobMessage = config.Message(tt.site)
		var got ipc.Settings
		got.VariableDataDir = true
		if d.delegated(&got); got.DataDir != tt.dir || got.Message != tt.text || got.VariableDataDir != tt.script.IsZero() {
			t.Errorf("%s: %q, %q, %v", name, got.DataDir, got.Message, got.VariableDataDir)
		}
	}
}

// TestSignaller: only where the job has another account than this process, processes are
// signalled as the account.
func TestSignaller(t *testing.T) {
	for strategy, want := range map[settings.Downscope]bool{settings.Setuid: true, settings.Sudo: true, settings.None: false} {
		if got := signaller(privdrop.Launcher{Strategy: strategy}, policy.Grant{}, ipc.Request{}); (got != nil) != want {
			t.Errorf("%s: %v", strategy, got != nil)
		}
	}
}

// TestReaperNeedsAGrant: without a grant no process is started to signal as an account.
func TestReaperNeedsAGrant(t *testing.T) {
	as, err := reaper(privdrop.Launcher{Strategy: settings.Sudo}, policy.Grant{}, ipc.Request{})
	if err == nil || as != nil || !strings.Contains(err.Error(), "no account was granted") {
		t.Errorf("%v, %v", as, err)
	}
}
