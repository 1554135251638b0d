package auth

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

// TestHelperProblem: an account separates helpers only if nothing else runs as it and no one
// can log in to it.
func TestHelperProblem(t *testing.T) {
	const service = 990
	good := job.Account{Name: testutil.Username(t, "helper"), UID: 991, GID: 991, Shell: testutil.AbsPath(t, "/usr/sbin/nologin")}
	with := func(change func(*job.Account)) job.Account { a := good; change(&a); return a }
	for name, tt := range map[string]struct {
		account      job.Account
		problem, fix string // parts
	}{
		"of its own":             {good, "", ""},
		"with false":             {with(func(a *job.Account) { a.Shell = testutil.AbsPath(t, "/bin/false") }), "", ""},
		"in the service's group": {with(func(a *job.Account) { a.GID = service }), "", ""},
		"root":                   {with(func(a *job.Account) { a.UID = 0 }), "it is root", "make an account"},
		"of root's group":        {with(func(a *job.Account) { a.GID = 0 }), "of root's group", "make an account"},
		"nobody":                 {with(func(a *job.Account) { a.UID = job.Nobody }), "the id of nobody", "make an account"},
		"of nogroup":             {with(func(a *job.Account) { a.GID = job.Nobody }), "the id of nobody", "make an account"},
		"the service":            {with(func(a *job.Account) { a.UID = service }), "it is the account of the runner's service", "make an account"},
		"of a person":            {with(func(a *job.Account) { a.Shell = testutil.AbsPath(t, "/bin/bash") }), "it has the login shell /bin/bash", "usermod --shell /usr/sbin/nologin helper"},
	} {
		problem, fix := helperProblem(tt.account, service)
		if (problem == "") != (tt.problem == "") || !strings.Contains(problem, tt.problem) || (fix == "") != (tt.fix == "") || !strings.Contains(fix, tt.fix) {
			t.Errorf("%s: %q, %q; want %q, %q", name, problem, fix, tt.problem, tt.fix)
		}
	}
}

// TestService: whom a process trusts and as whom its helpers run follow from its account and
// from whether it has more privileges than that.
func TestService(t *testing.T) {
	helper, nobody := &thread.IDs{UID: 991, GID: 991}, &thread.IDs{UID: job.Nobody, GID: job.Nobody}
	for name, tt := range map[string]struct {
		service        service
		extra          bool
		helpers, fetch *thread.IDs
		names          account.Names
	}{
		"root":              {service{uid: 0, powers: true, helper: helper}, false, nil, nil, account.System(helper, nil)},
		"file capabilities": {service{uid: 990, powers: true, helper: helper}, true, helper, nobody, account.System(helper, helper)},
		"no privileges":     {service{uid: 990}, false, nil, nil, account.System(nil, nil)},
		"closed":            {service{uid: 990, powers: true, helper: helper, closed: true}, true, helper, nobody, account.System(nil, nil)},
		"closed, as root":   {service{uid: 0, powers: true, helper: helper, closed: true}, false, nil, nil, account.System(nil, nil)},
	} {
		s := tt.service
		if s.hasExtraPrivileges() != tt.extra {
			t.Errorf("%s: extra privileges: %v", name, !tt.extra)
		}
		want := trustedfile.Self()
		if tt.extra {
			want = trustedfile.Root()
		}
		if !reflect.DeepEqual(s.trust(), want) {
			t.Errorf("%s: it trusts %+v, want %+v", name, s.trust(), want)
		}
		if !reflect.DeepEqual(s.helperIDs(), tt.helpers) || !reflect.DeepEqual(s.fetchIDs(), tt.fetch) {
			t.Errorf("%s: helpers run as %+v, jacamar-keys as %+v; want %+v and %+v", name, s.helperIDs(), s.fetchIDs(), tt.helpers, tt.fetch)
		}
		if !reflect.DeepEqual(s.names(), tt.names) {
			t.Errorf("%s: the name services are %+v, want %+v", name, s.names(), tt.names)
		}
	}
}

// TestStateIDs: an administrator who is root works in the state directory as the account that
// has it. A stage works as the helper account, or as itself.
func TestStateIDs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory to another account")
	}
	helper := &thread.IDs{UID: 991, GID: 992}
	ofService := &thread.IDs{UID: 990, GID: 989}
	for name, tt := range map[string]struct {
		service service
		owner   int // -1 for no directory
		down    settings.Downscope
		want    *thread.IDs
	}{
		"a stage of root":                      {service{helper: helper}, 991, settings.Setuid, nil},
		"a stage with file capabilities":       {service{uid: 990, powers: true, helper: helper}, 991, settings.Setuid, helper},
		"an administrator who is not root":     {service{uid: 990, administers: true, helper: helper}, 990, settings.Sudo, nil},
		"root, and the helper has it":          {service{administers: true, helper: helper}, 991, settings.Setuid, helper},
		"root, and the service has it":         {service{administers: true, helper: helper}, 990, settings.Sudo, ofService},
		"root, and the service without helper": {service{administers: true}, 990, settings.None, ofService},
		"root, and another account has it":     {service{administers: true, helper: helper}, 990, settings.Setuid, nil},
		"root has it":                          {service{administers: true, helper: helper}, 0, settings.Sudo, nil},
		"root, and there is none":              {service{administers: true, helper: helper}, -1, settings.Sudo, nil},
	} {
		path := filepath.Join(t.TempDir(), "state")
		if tt.owner >= 0 {
			testutil.Must(t, os.Mkdir(path, 0o700), os.Chown(path, tt.owner, 989))
		}
		d := &authDriver{service: tt.service}
		d.Site.Auth.Downscope = tt.down
		if got := d.stateIDs(testutil.AbsPath(t, path)); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}
