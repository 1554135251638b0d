package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"

	"jacamar-ci/internal/auth/internal/account"
	"jacamar-ci/internal/auth/internal/accountmap"
	"jacamar-ci/internal/auth/internal/runas"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/internal/trustedfile"
	"jacamar-ci/test/harness/testutil"
)

// trustedFile is a new file that only this account can change.
func trustedFile(t *testing.T, text string, mode fs.FileMode) job.AbsPath {
	t.Helper()
	path := filepath.Join(testutil.HomeDir(t), "file")
	testutil.Must(t, os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode))
	return testutil.AbsPath(t, path)
}

// fixes are those of the lines.
func fixes(lines []Line) (all string) {
	for _, l := range lines {
		all += l.Fix + "\n"
	}
	return all
}

// TestConfiguration: without a usable file there is always a failure.
func TestConfiguration(t *testing.T) {
	readable, open := trustedFile(t, "", 0o644), trustedFile(t, "", 0o666)
	large := &trustedfile.Fault{File: readable.String(), Path: readable.String(), Problem: "is longer than 1 bytes", Fix: "shorten it"}
	for name, tt := range map[string]struct {
		file     job.AbsPath
		err      error
		warnings []config.Fault
		want     []string
		fixes    []string
	}{
		"all well":            {readable, nil, nil, []string{"ok can be trusted and has no error"}, nil},
		"a warning":           {readable, nil, []config.Fault{{Key: "auth.x", Text: "is old", Write: "y = 1"}}, []string{"warn auth.x: is old"}, []string{"write y = 1"}},
		"writable by all":     {open, fmt.Errorf("x: %w", &trustedfile.Fault{File: open.String(), Path: open.String(), Problem: "is writable"}), nil, []string{"fail is writable by group and others"}, []string{"chmod go-w"}},
		"both":                {open, nil, []config.Fault{{Text: "is old"}}, []string{"fail is writable", "warn is old"}, nil},
		"not read, but safe":  {readable, fmt.Errorf("x: %w", large), nil, []string{"fail is longer than 1 bytes"}, []string{"shorten it"}},
		"errors in the file":  {readable, fmt.Errorf("x: %w", multierror.Append(nil, config.Fault{Text: "one", Write: "a = 1"}, errors.New("two"))), nil, []string{"fail one", "fail two"}, []string{"write a = 1", "correct it in " + readable.String()}},
		"another error":       {readable, errors.New("no key server"), nil, []string{"fail no key server"}, []string{"correct it in " + readable.String()}},
		"unsafe and an error": {open, errors.New("no key server"), nil, []string{"fail is writable", "fail no key server"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := Site{File: tt.file, Err: tt.err, Trust: trustedfile.Self()}
			if tt.err == nil {
				s.Config = &config.Config{Warnings: tt.warnings}
			}
			got := configuration(t.Context(), s)
			found(t, got, tt.want...)
			for _, fix := range tt.fixes {
				if !strings.Contains(fixes(got), fix) {
					t.Errorf("no %q in %+v", fix, got)
				}
			}
		})
	}
}

// TestCorrect: the text to write, where the fault or the name service has it.
func TestCorrect(t *testing.T) {
	s := Site{File: testutil.AbsPath(t, "/etc/x.toml")}
	const plain = "correct it in /etc/x.toml"
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"no fault of a key":   {errors.New("x"), plain},
		"no text to write":    {config.Fault{Key: "auth.logging.network", Value: "localhost:514"}, plain},
		"a text to write":     {config.Fault{Key: "auth.logging.address", Write: "z = 1"}, plain + ": write z = 1"},
		"an address":          {config.Fault{Key: "auth.logging.address", Value: "192.0.2.7"}, plain},
		"a name of this host": {config.Fault{Key: "auth.logging.address", Value: "localhost:514"}, plain + `: address = "`},
	} {
		got := s.correct(t.Context(), tt.err)
		if rest, ok := strings.CutPrefix(got, tt.want); !ok || (rest != "") != strings.HasSuffix(tt.want, `"`) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWriteAddress(t *testing.T) {
	for known, want := range map[string]string{
		"192.0.2.7       STREAM loghost\n192.0.2.7       DGRAM\n": `: address = "192.0.2.7:514"`,
		"2001:db8::7     STREAM loghost\n":                        `: address = "[2001:db8::7]:514"`,
		"":                                                        "; the name service has no address of loghost",
	} {
		if got := writeAddress("loghost", "514", known); got != want {
			t.Errorf("%q: %q, want %q", known, got, want)
		}
	}
}

func TestCAFile(t *testing.T) {
	s := Site{Config: &config.Config{}, Trust: trustedfile.Self()}
	found(t, caFile(t.Context(), s))
	for mode, want := range map[fs.FileMode]string{0o644: "ok can be trusted", 0o664: "fail is writable by group"} {
		s.Config.General.TLSCAFile = trustedFile(t, "", mode)
		found(t, caFile(t.Context(), s), want)
	}
}

func TestAccountMap(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		mode fs.FileMode
		size int64 // 0 for that of the text
		want []string
		fix  string
	}{
		"two users":           {"7 root\n8 root # since March\n", 0o644, 0, []string{"ok has accounts for 2 users"}, ""},
		"accounts that left":  {"7 root\n8 no-such-b\n9 no-such-a\n", 0o644, 0, []string{"warn names no-such-a, which is no account here", "warn names no-such-b"}, "remove the line"},
		"one user twice":      {"7 root\n7 daemon\n", 0o644, 0, []string{"fail line 2: user 7 has an account already"}, "correct the lines"},
		"writable by a group": {"7 root\n", 0o664, 0, []string{"fail is writable by group (mode 0664)"}, "chmod g-w"},
		"another kind":        {"", 0o644, accountmap.MaxSize + 1, []string{"fail is longer than"}, "name the right file or shorten it"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Site{Config: &config.Config{}, Trust: trustedfile.Self(), Names: account.System(nil, nil)}
			s.Config.Auth.AccountMap = trustedFile(t, tt.text, tt.mode)
			if tt.size > 0 {
				testutil.Must(t, os.Truncate(s.Config.Auth.AccountMap.String(), tt.size))
			}
			got := accountMap(t.Context(), s)
			found(t, got, tt.want...)
			if !strings.Contains(fixes(got), tt.fix) {
				t.Errorf("%+v, want the fix %q", got, tt.fix)
			}
		})
	}
	found(t, accountMap(t.Context(), Site{Config: &config.Config{}}))
}

// TestRunAs: each script that a job could not run is one finding, with what to correct.
func TestRunAs(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		mode fs.FileMode
		size int64
		sum  string
		want []string
		fix  string
	}{
		"a script":             {"#!/bin/sh\ntrue\n", 0o755, 0, "", []string{"ok can be trusted and run"}, ""},
		"with an option":       {"#! /bin/sh\t-e\n", 0o755, 0, "", []string{"ok"}, ""},
		"a program":            {"\x7fELF", 0o755, 0, "", []string{"ok"}, ""},
		"empty":                {"", 0o755, 0, "", []string{"fail neither a program nor a script"}, "#!/bin/sh"},
		"no interpreter":       {"echo x\n", 0o755, 0, "", []string{"fail neither a program nor a script"}, "#!/bin/sh"},
		"a missing one":        {"#!/nonexistent/python\n", 0o755, 0, "", []string{"fail needs an interpreter"}, "install it"},
		"none behind the mark": {"#!\n", 0o755, 0, "", []string{"fail needs an interpreter"}, "install it"},
		"a directory":          {"#!/etc\n", 0o755, 0, "", []string{"fail needs an interpreter"}, "install it"},
		"from Windows":         {"#!/bin/sh\r\ntrue\r\n", 0o755, 0, "", []string{`fail its first line is "#!/bin/sh\r"`}, `sed -i 's/\r$//'`},
		"not executable":       {"#!/bin/sh\n", 0o644, 0, "", []string{"fail is not executable"}, "[auth.runas]"},
		"another checksum":     {"#!/bin/sh\n", 0o755, 0, strings.Repeat("0", 64), []string{"fail has the checksum"}, "[auth.runas]"},
		"two faults":           {"#!/nonexistent/sh\n", 0o644, 0, "", []string{"fail is not executable", "fail needs an interpreter"}, ""},
		"too long":             {"", 0o755, 65 << 20, "", []string{"fail is longer than"}, "[auth.runas]"},
		"writable by others":   {"echo x\n", 0o757, 0, "", []string{"fail is writable by others"}, "chmod o-w"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Site{Config: &config.Config{}, Trust: trustedfile.Self()}
			p := trustedFile(t, tt.text, tt.mode)
			if tt.size > 0 {
				testutil.Must(t, os.Truncate(p.String(), tt.size))
			}
			s.Config.Auth.RunAs.ValidationScript, s.Script = p, runas.Script{Path: p, Trust: s.Trust, SHA256: tt.sum}
			got := runAs(t.Context(), s)
			found(t, got, tt.want...)
			if !strings.Contains(fixes(got), tt.fix) {
				t.Errorf("%+v, want the fix %q", got, tt.fix)
			}
		})
	}
	found(t, runAs(t.Context(), Site{Config: &config.Config{}}))
}

// TestWindowsFix: the fix of a script with carriage returns makes it one that runs.
func TestWindowsFix(t *testing.T) {
	p := trustedFile(t, "#!/bin/sh -e\r\nexit 0\r\n", 0o755)
	read := func() string {
		text, err := os.ReadFile(p.String())
		testutil.Must(t, err)
		return string(text)
	}
	got := interpreter(p, read())
	found(t, got, "fail carriage return")
	_, command, _ := strings.Cut(got[0].Fix, ": ")
	command, _, _ = strings.Cut(command, "; ")
	if r, err := output(t.Context(), "/bin/sh", "-c", command); err != nil || r.Code != 0 {
		t.Fatalf("%s: %+v, %v", command, r, err)
	}
	found(t, interpreter(p, read()))
	if r, err := output(t.Context(), p.String()); err != nil || r.Code != 0 {
		t.Errorf("after the fix: %+v, %v", r, err)
	}
}

func TestJudgeMemfd(t *testing.T) {
	for _, setting := range []string{"", "0\n", "1\n"} {
		found(t, judgeMemfd(setting))
	}
	found(t, judgeMemfd("2\n"), "fail from memory")
}

// TestLists: every kind of entry is looked up in its own database.
func TestLists(t *testing.T) {
	name := func(text string) config.List[job.Username] {
		return config.List[job.Username]{Set: true, Items: []job.Username{testutil.Username(t, text)}}
	}
	group := func(name config.Group) config.List[config.Group] {
		return config.List[config.Group]{Set: true, Items: []config.Group{name}}
	}
	s := Site{Config: &config.Config{}, Names: account.System(nil, nil)}
	a := &s.Config.Auth
	a.UserAllowlist, a.UserBlocklist, a.GroupsAllowlist, a.GroupsBlocklist = name("root"), name("daemon"), group("root"), group("daemon")
	found(t, lists(t.Context(), s), "ok every entry names")
	a.UserAllowlist, a.UserBlocklist, a.GroupsAllowlist, a.GroupsBlocklist = name("no-a"), name("no-b"), group("no-c"), group("no-d")
	found(t, lists(t.Context(), s),
		`warn auth.user_allowlist names "no-a", and there is no such account`, `warn auth.user_blocklist names "no-b"`,
		`warn auth.groups_allowlist names "no-c", and there is no such group`, `warn auth.groups_blocklist names "no-d"`)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	found(t, unknown(ended, s.Names, "passwd", []string{"root"}, func(string) Line { return Line{} }), "fail getent passwd")
}

// TestOpenTo: whatever restricts who may run jobs is enough.
func TestOpenTo(t *testing.T) {
	found(t, openTo(config.Auth{MinUID: 500}), "ok every account with a user id of 500 or more may run jobs")
	for name, restrict := range map[string]func(*config.Auth){
		"users":       func(a *config.Auth) { a.UserAllowlist.Set = true },
		"groups":      func(a *config.Auth) { a.GroupsAllowlist.Set = true },
		"projects":    func(a *config.Auth) { a.ProjectAllowlist.Set = true },
		"a script":    func(a *config.Auth) { a.RunAs.ValidationScript = testutil.AbsPath(t, "/x") },
		"a map":       func(a *config.Auth) { a.AccountSource = settings.Map },
		"one account": func(a *config.Auth) { a.Downscope = settings.None },
	} {
		var a config.Auth
		restrict(&a)
		if got := openTo(a); got != nil {
			t.Errorf("restricted by %s: %+v", name, got)
		}
	}
	all := lists(t.Context(), Site{Config: &config.Config{}})
	if !slices.ContainsFunc(all, func(l Line) bool { return strings.HasPrefix(l.Text, "every account") }) {
		t.Errorf("%+v", all)
	}
}
