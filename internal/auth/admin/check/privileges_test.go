package check

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/policy"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

func TestJudgeSetuid(t *testing.T) {
	lacks, dumps := errors.New("lacks CAP_SETUID"), errors.New("fs.suid_dumpable is 1")
	found(t, judgeSetuid(0, nil, nil), "ok uid 0 may become")
	found(t, judgeSetuid(7, lacks, nil), "fail lacks CAP_SETUID")
	found(t, judgeSetuid(0, nil, dumps), "fail suid_dumpable")
	found(t, judgeSetuid(7, lacks, dumps), "fail lacks CAP_SETUID")
}

// TestJudgeOwn: without a change of account a rule about the service's account refuses
// every job.
func TestJudgeOwn(t *testing.T) {
	for name, tt := range map[string]struct {
		change    func(*policy.Facts)
		want, fix string
	}{
		"usual":           {func(*policy.Facts) {}, "ok every job runs as uid 998", ""},
		"root":            {func(f *policy.Facts) { f.Account.UID = 0 }, "fail this is root", `set auth.downscope = "setuid"`},
		"root's group":    {func(f *policy.Facts) { f.Account.GID = 0 }, "fail is refused: root: the primary group", "another account"},
		"nobody":          {func(f *policy.Facts) { f.Account.UID = job.Nobody }, "fail uid 65534 (downscope is none), and is refused: nobody", "another account"},
		"a system one":    {func(f *policy.Facts) { f.Account.UID = 400 }, "fail auth.min_uid = 500 refuses it", "write min_uid = 400 under [auth]"},
		"no login":        {func(f *policy.Facts) { f.Account.Shell = testutil.AbsPath(t, "/usr/sbin/nologin") }, "fail its login shell nologin", "usermod --shell /bin/bash runner"},
		"another shell":   {func(f *policy.Facts) { f.Account.Shell = testutil.AbsPath(t, "/opt/zsh") }, "fail is refused: shell_allowlist: the list is not set and /opt/zsh", "correct that"},
		"locked":          {func(f *policy.Facts) { f.Aging.Known, f.Aging.Locked = true, true }, "fail is refused: locked", "correct that"},
		"without a shell": {func(f *policy.Facts) { f.Shells = nil }, "fail is refused: shell_allowlist", "correct that"},
	} {
		bash := testutil.AbsPath(t, "/bin/bash")
		f := policy.Facts{Account: job.Account{Name: testutil.Username(t, "runner"), UID: 998, GID: 998, Shell: bash}, Shells: []job.AbsPath{bash}}
		tt.change(&f)
		got := judgeOwn(f, policy.Rules{MinUID: 500})
		found(t, got, tt.want)
		if !strings.Contains(got[0].Fix, tt.fix) {
			t.Errorf("%s: %q", name, got[0].Fix)
		}
	}
}

// TestOwnAccount: the account that the service has, also where root looks.
func TestOwnAccount(t *testing.T) {
	s := Site{Config: &config.Config{}, Names: account.System(nil, nil), StateDir: stateOf(t, daemonUID)}
	s.Config.Auth.Downscope, s.Config.Auth.MinUID = settings.None, 500
	found(t, privileges(t.Context(), s), "fail uid 1 (downscope is none), and auth.min_uid")
	if f, err := s.ownFacts(t.Context()); err != nil || f.Account.UID != daemonUID || f.Aging.Known || len(f.Shells) == 0 {
		t.Errorf("as root: %+v, %v", f, err)
	}
	s.StateDir = stateOf(t, 0)
	found(t, privileges(t.Context(), s), "fail this is root")
	s.UID = daemonUID
	if f, err := s.ownFacts(t.Context()); err != nil || f.Account.UID != daemonUID || !f.Aging.Known {
		t.Errorf("as the service: %+v, %v", f, err)
	}
	s.UID = unusedUID
	found(t, privileges(t.Context(), s))
	s.UID, s.Config.Auth.MinUID = daemonUID, 0
	s.Config.Auth.ShellAllowlist = config.List[job.AbsPath]{Set: true, Items: []job.AbsPath{testutil.AbsPath(t, "/usr/sbin/nologin")}}
	found(t, privileges(t.Context(), s), "fail its login shell nologin")
}

// TestSudo runs a program in the place of sudo, which prints a rule for one account alone.
func TestSudo(t *testing.T) {
	const rule = "echo '    (%ci) NOPASSWD: /opt/jacamar/bin/jacamar'"
	for name, tt := range map[string]struct {
		uid    job.UID
		owner  int
		script string
		want   string
	}{
		"root":                         {0, 0, "exit 9", "ok root needs no rule"},
		"a service with a rule":        {7, 0, `[ "$*" = "-n -l" ] && ` + rule, "ok sudo lets uid 7 run /opt/jacamar/bin/jacamar as %ci"},
		"root, for that service":       {0, daemonUID, `[ "$*" = "-n -l -U daemon" ] && ` + rule, "ok sudo lets daemon run"},
		"a service without a rule":     {7, 0, "echo nothing", "fail no rule by which uid 7 may run"},
		"root, for one without a rule": {0, daemonUID, "echo nothing", "fail no rule by which daemon may run"},
		"a rule that needs a password": {7, 0, rule + "; exit 1", "fail no rule"},
		"sudo ended in the middle":     {7, 0, rule + "; kill -KILL $$", "fail no rule"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := filepath.Join(t.TempDir(), "sudo")
			testutil.Must(t, os.WriteFile(fake, []byte("#!/bin/sh\n"+tt.script+"\n"), 0o755))
			s := Site{UID: tt.uid, StateDir: stateOf(t, tt.owner), Names: account.System(nil, nil), Auth: testutil.AbsPath(t, "/opt/jacamar/bin/jacamar-auth"), Jacamar: testutil.AbsPath(t, "/opt/jacamar/bin/jacamar")}
			got := sudo(t.Context(), s, fake)
			found(t, got, tt.want)
			if got[0].Result == Fail && !strings.Contains(got[0].Fix, "/opt/jacamar/share/jacamar-ci/sudoers") {
				t.Errorf("the fix of %+v", got)
			}
		})
	}
	found(t, sudo(t.Context(), Site{}, "/nonexistent/sudo"), "fail there is no /nonexistent/sudo")
}

// TestRunasOf: what sudo -l prints, in its own forms.
func TestRunasOf(t *testing.T) {
	const program = "/opt/jacamar/bin/jacamar"
	for name, tc := range map[string]struct{ list, want string }{
		"the rule of the package": {"Matching Defaults entries for gitlab-runner on x:\n    env_reset\n\nUser gitlab-runner may run the following commands on x:\n" +
			"    (%ci-users) NOPASSWD: /opt/jacamar/bin/jacamar config, /opt/jacamar/bin/jacamar\n        prepare\n", "%ci-users"},
		"broken before the program":  {"    (%ci-users)\n        NOPASSWD: /opt/jacamar/bin/jacamar config\n", "%ci-users"},
		"everything":                 {"    (ALL, !root) NOPASSWD: ALL\n", "ALL, !root"},
		"a password":                 {"    (ALL : ALL) ALL\n    (%ci-users) /opt/jacamar/bin/jacamar config\n", ""},
		"another program":            {"    (root) NOPASSWD: /usr/bin/id\n", ""},
		"its neighbour":              {"    (root) NOPASSWD: /opt/jacamar/bin/jacamar-admin check\n", ""},
		"as an argument":             {"    (root) NOPASSWD: /usr/bin/less /opt/jacamar/bin/jacamar\n", ""},
		"two rules":                  {"    (root) NOPASSWD: /usr/bin/id\n    (%ci-users) NOPASSWD: /opt/jacamar/bin/jacamar\n    (root) /usr/bin/w\n", "%ci-users"},
		"a password for this one":    {"    (root) NOPASSWD: /usr/bin/id, PASSWD: /opt/jacamar/bin/jacamar\n", ""},
		"a password for others":      {"    (root) PASSWD: /usr/bin/id, SETENV: NOPASSWD: /opt/jacamar/bin/jacamar\n", "root"},
		"all but this one":           {"    (ALL) NOPASSWD: ALL, !/opt/jacamar/bin/jacamar\n", ""},
		"all but another one":        {"    (ALL) NOPASSWD: ALL, !/usr/bin/su\n", "ALL"},
		"its directory":              {"    (ALL) NOPASSWD: /opt/jacamar/bin/\n", "ALL"},
		"a wildcard":                 {"    (ALL) NOPASSWD: /opt/*/bin/jacamar\n", "ALL"},
		"a digest":                   {"    (ALL) NOPASSWD: sha256:0f1e /opt/jacamar/bin/jacamar\n", "ALL"},
		"a password by a later rule": {"    (ALL) NOPASSWD: /opt/jacamar/bin/jacamar\n    (ALL : ALL) ALL\n", ""},
		"forbidden by a later rule":  {"    (%ci-users) NOPASSWD: ALL\n    (%ci-users) !/opt/jacamar/bin/jacamar\n", ""},
		"as others by a later rule":  {"    (%ci-users) NOPASSWD: /opt/jacamar/bin/jacamar\n    (root) ALL\n", "%ci-users"},
		"forbidden in the next line": {"    (ALL) NOPASSWD: ALL,\n        !/opt/jacamar/bin/jacamar\n", ""},
		"nothing":                    {"", ""},
	} {
		if got := runasOf(tc.list, program); got != tc.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestJudgeMaps(t *testing.T) {
	found(t, judgeMaps("", nil), "ok machine's own")
	found(t, judgeMaps("/proc/self/gid_map: 0 1000 1", nil), "fail gid_map: 0 1000 1")
	found(t, judgeMaps("", os.ErrNotExist), "fail not exist")
}

func TestJudgeProcessView(t *testing.T) {
	for _, tt := range []struct {
		options   []string
		uid       job.UID
		downscope settings.Downscope
		want      string
	}{
		{[]string{"rw"}, 990, settings.Setuid, "ok shows the processes of all accounts"},
		{[]string{"rw", "hidepid=0"}, 990, settings.Setuid, "ok shows the processes of all accounts"},
		{[]string{"rw", "hidepid=off"}, 990, settings.Setuid, "ok shows the processes of all accounts"},
		{[]string{"rw", "gid=4", "hidepid=invisible"}, 990, settings.Setuid, "ok hidepid=invisible: the processes of a job are ended through its account"},
		{[]string{"rw", "hidepid=1"}, 990, settings.Sudo, "ok reported by its pid alone"},
		{[]string{"rw", "hidepid=2"}, 0, settings.Setuid, "ok hides no process of a job"},
		{[]string{"rw", "hidepid=ptraceable"}, 990, settings.None, "ok hides no process of a job"},
	} {
		found(t, judgeProcessView(tt.options, tt.uid, tt.downscope), tt.want)
	}
}
