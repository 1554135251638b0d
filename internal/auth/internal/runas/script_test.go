package runas

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/claims"
	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/testutil"
)

func TestRunAccepts(t *testing.T) {
	for _, c := range []struct {
		name, body   string
		user, target string
		want         Approval
	}{
		{"silently", "true", "alice", "", Approval{Username: testutil.Username(t, "alice")}},
		{"with an empty line", "echo", "alice", "", Approval{Username: testutil.Username(t, "alice")}},
		{"the account asked for", "true", "alice", "svc", Approval{Username: testutil.Username(t, "svc")}},
		{"with an empty object", "echo '{}'", "alice", "svc", Approval{Username: testutil.Username(t, "svc")}},
		{"as another account", `echo '{"username": "carol"}'`, "alice", "svc", Approval{Username: testutil.Username(t, "carol"), Named: true}},
		{"naming the same account", `echo '{"username": "alice"}'`, "alice", "", Approval{Username: testutil.Username(t, "alice"), Named: true}},
		{
			"with all members", `echo '{"username":"carol","data_dir":"/scratch/carol","user_message":"hello\u001b[31m\nthere"}'; echo 'looked up' >&2`, "alice", "",
			Approval{Username: testutil.Username(t, "carol"), Named: true, DataDir: testutil.AbsPath(t, "/scratch/carol"), Message: "hello?[31m there", Notes: "looked up"},
		},
		{"root, which the policy refuses", `echo '{"username":"root"}'`, "alice", "", Approval{Username: testutil.Username(t, "root"), Named: true}},
		{"by its arguments", `[ "$# $1" = "1 alice" ]`, "alice", "", Approval{Username: testutil.Username(t, "alice")}},
		{"by its arguments with a target", `[ "$# $1 $2" = "2 svc alice" ]`, "alice", "svc", Approval{Username: testutil.Username(t, "svc")}},
		{"a backslash in a name", `[ "$1" = 'DOM\a@b.c' ]`, `DOM\a@b.c`, "", Approval{Username: testutil.Username(t, `DOM\a@b.c`)}},
		{"with a daemon that gave its outputs away", "x=$(setsid -f sh -c 'exec sleep 1 >/dev/null 2>&1'); true", "alice", "", Approval{Username: testutil.Username(t, "alice")}},
		{"with a background child on its output", "sleep 1000 & true", "alice", "", Approval{Username: testutil.Username(t, "alice")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := bash(t, c.body)
			got, err := run(t, s, c.user, c.target)
			if err != nil {
				t.Fatal(err)
			}

			if got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestRunRefuses(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       string
	}{
		{"exit status", "exit 3", "exit status 3"},
		{"exit status with an answer", `echo '{"username":"root"}'; exit 1`, "exit status 1"},
		{"signal", "kill -SEGV $$", "ended by signal 11"},
		{"signal after an answer", `echo '{"username":"root"}'; kill -KILL $$`, "ended by signal 9"},
		{"garbage", "echo welcome to the site", "its output is not JSON"},
		{"banner before the answer", `echo welcome; echo '{"username":"bob"}'`, "its output is not JSON"},
		{"path as account", `echo '{"username":"a/../b"}'`, `its output has "username": the account name "a/../b" has a character that account names do not have`},
		{"1 GiB", "head -c 1073741824 /dev/zero", "printed more than 65536 bytes"},
		{"1 GiB of errors", "head -c 1073741824 /dev/zero >&2; exit 4", "exit status 4"},
		{"one byte too much", `printf '{"user_message":"%65519s"}' x`, "printed more than 65536 bytes"},
		{"daemon that holds its output", "exec 9>&1; x=$(setsid -f sh -c 'exec sleep 3 >&9'); true", "left a process behind that holds its output"},
		{"syntax error", "if", "exit status 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := bash(t, c.body)
			a, err := run(t, s, "alice", "svc")
			refused(t, a, err, failure.Denied, "the validation script did not accept the call "+s.Path.String()+" svc alice: "+c.want)
		})
	}
}

func TestRunTimeout(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"itself", "exec sleep 1000"},
		{"in a child, deaf to TERM", "trap '' TERM HUP INT; sleep 1000; sleep 1000"},
		{"after an answer", `echo '{"username":"bob"}'; exec >&-; sleep 1000`},
		{"reading its input in a loop", "while ! read -r line; do :; done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, mark := bash(t, c.body), "RUNAS_TEST_MARK="+t.TempDir()
			s.Env = []job.Env{env(t, mark)}
			s.limit = 500 * time.Millisecond
			begin := time.Now()
			a, err := run(t, s, "alice", "")
			refused(t, a, err, failure.Denied, "timed out after 500ms")
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("took %s", d)
			}
			if !noneHas(mark) {
				t.Error("the script is still there")
			}
		})
	}
}

// noneHas waits until no process has a variable: one that was killed may take a moment to end.
func noneHas(variable string) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		files, _ := filepath.Glob("/proc/[0-9]*/environ")
		if !slices.ContainsFunc(files, func(file string) bool {
			text, _ := os.ReadFile(file) // of a process that has ended, nothing
			return strings.Contains("\x00"+string(text), "\x00"+variable+"\x00")
		}) {
			return true
		}
	}
	return false
}

func TestRunReportsRefusal(t *testing.T) {
	s := bash(t, `printf 'no\nentry for \033[31m%s\377' "$1" >&2; echo '{"user_message":"ask  for access\nat https://site.example"}'; exit 1`)
	a, err := run(t, s, "alice", "")
	refused(t, a, err, failure.Denied, "exit status 1; standard error: no entry for ?[31malice?")
	line, hint := failure.ForUser(err, false, "job 9")
	if line != "you are not allowed to run CI jobs on this resource" || hint != "ask for access at https://site.example" {
		t.Errorf("the user reads %q, %q", line, hint)
	}

	for _, body := range []string{
		"exit 1", "echo what; exit 1", "echo '{}'; exit 1", `echo '{"user_message":" "}'; exit 1`,
		`echo '{"user_message":"hello","uid":"0"}'; exit 1`, `echo '{"user_message":"hello"}x'`,
	} {
		a, err = run(t, bash(t, body), "alice", "")
		refused(t, a, err, failure.Denied)
		line, hint := failure.ForUser(err, false, "job 9")
		if line != "you are not allowed to run CI jobs on this resource" || hint != "ask its administrators, quoting job 9" {
			t.Errorf("%s: the user reads %q, %q", body, line, hint)
		}
	}

	_, err = run(t, bash(t, `echo '{"user_message":"hello"}'; kill -KILL $$`), "alice", "")
	if line, _ := failure.ForUser(err, false, "job 9"); failure.DefaultCodes().Status(err) != failure.DefaultCodes().System || line != "this CI resource could not run the job" {
		t.Errorf("a script that a signal ended: the user reads %q: %v", line, err)
	}

	s = bash(t, "head -c 100000 /dev/zero | tr '\\0' x >&2")
	if a, err = run(t, s, "alice", ""); err != nil || a.Notes != strings.Repeat("x", notesLimit) {
		t.Errorf("notes of %d bytes, error %v", len(a.Notes), err)
	}
}

func TestRunEnvironment(t *testing.T) {
	t.Setenv("BASH_ENV", "/dev/stderr")
	t.Setenv("LD_LIBRARY_PATH", "/evil")
	out := filepath.Join(t.TempDir(), "environ")
	s := bash(t, `cat /proc/$$/environ >"$OUT"`)
	s.Env = []job.Env{env(t, "OUT="+out), env(t, "SITE=a b"), env(t, "LANG=C.UTF-8"), env(t, "SITE=c")}
	s.Federated = "ldapmain"
	if _, err := run(t, s, "alice", ""); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	want := []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "OUT=" + out, "SITE=c",
		"JWT_USER_LOGIN=alice", "JWT_USER_EMAIL=alice@site.example", "JWT_USER_ID=42", "JWT_NAMESPACE_ID=5",
		"JWT_PROJECT_ID=7", "JWT_PROJECT_PATH=hpc/solver", "JWT_JOB_ID=9", "JWT_PIPELINE_ID=70", "JWT_PIPELINE_SOURCE=push",
		"JWT_ISS=https://gitlab.site.example", "JWT_REF=$(id)", "JWT_REF_PROTECTED=true",
		"JWT_IDENTITY_SAML_MAIN=A 1", "JWT_IDENTITY_LDAPMAIN=uid=al,dc=site", "JWT_FEDERATED_UID=uid=al,dc=site",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRunCleanProcess(t *testing.T) {
	// As the privileged process does at its start: the parent of this test may have
	// left descriptors open.
	if err := unix.CloseRange(3, 1<<31, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		t.Skipf("the kernel has no close_range with CLOEXEC: %v", err)
	}
	for _, c := range []struct{ name, body string }{
		{"input is /dev/null", `[ "$(readlink /proc/$$/fd/0)" = /dev/null ]`},
		{"leads a session without a terminal", `set -- $(cat /proc/$$/stat); [ $1 = $6 ] && [ $7 = 0 ]`},
		{"directory", `[ "$PWD" = / ]`},
		{"its text cannot be changed", `! { echo '#' >/proc/$$/fd/3; } 2>/dev/null`},
		{"its text can be read", `grep -q can.be.read /proc/self/fd/3`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := run(t, bash(t, c.body), "alice", ""); err != nil {
				t.Error(err)
			}
		})
	}
	// Bash opens the script again as 255.
	a, err := run(t, bash(t, "ls /proc/$$/fd >&2"), "alice", "")
	if err != nil || a.Notes != "0 1 2 255 3" {
		t.Errorf("descriptors %q, error %v", a.Notes, err)
	}
}

func TestRunProgramKinds(t *testing.T) {
	for _, c := range []struct{ name, interpreter, text string }{
		{"bash", "bash", "#!/bin/bash\necho \"{\\\"username\\\":\\\"x$1\\\"}\"\n"},
		{"bash by env", "bash", "#!/usr/bin/env bash\necho \"{\\\"username\\\":\\\"x$1\\\"}\"\n"},
		{"bash with options", "bash", "#!/bin/bash -eu\necho \"{\\\"username\\\":\\\"x$1\\\"}\"\n"},
		{"sh, long", "sh", "#!/bin/sh\n" + strings.Repeat("# a comment that makes the text longer than one read\n", 5000) + "echo \"{\\\"username\\\":\\\"x$1\\\"}\"\n"},
		{"python by env", "/usr/bin/python3", "#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps({'username': 'x' + sys.argv[1]}))\n"},
		{"python in isolated mode", "/usr/bin/python3", "#!/usr/bin/python3 -I\nimport json, sys\nprint(json.dumps({'username': 'x' + sys.argv[1]}))\n"},
		{"perl", "perl", "#!/usr/bin/perl -T\nprint qq({\"username\":\"x$ARGV[0]\"});\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.interpreter); err != nil {
				t.Skipf("no %s here", c.interpreter)
			}
			a, err := run(t, script(t, c.text), "alice", "")
			if err != nil || a.Username.String() != "xalice" {
				t.Errorf("answer %+v, error %v", a, err)
			}
		})
	}
	t.Run("machine code", func(t *testing.T) {
		program, err := os.ReadFile("/bin/true")
		if err != nil {
			t.Skipf("no /bin/true here: %v", err)
		}
		if a, err := run(t, script(t, string(program)), "alice", ""); err != nil || a.Username.String() != "alice" {
			t.Errorf("answer %+v, error %v", a, err)
		}
	})
}

// TestRunWhenUndumpable has the state of the privileged process, in which its own
// /proc/self belongs to root.
func TestRunWhenUndumpable(t *testing.T) {
	s := bash(t, "true")
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			t.Error(err)
		}
	}()
	if _, err := run(t, s, "alice", ""); err != nil {
		t.Error(err)
	}
}

func TestRunCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, err := bash(t, "sleep 1000").Run(ctx, alice(), testutil.Username(t, "alice"), job.Username{})
	refused(t, a, err, failure.System, "was interrupted: context canceled")
}

func TestParseTarget(t *testing.T) {
	if got, err := ParseTarget(""); err != nil || got != (job.Username{}) {
		t.Errorf("nothing asked for: %v, %v", got, err)
	}
	if got, err := ParseTarget("svc"); err != nil || got.String() != "svc" {
		t.Errorf("svc: %v, %v", got, err)
	}
	for _, text := range []string{"-u", "--login", "0", "0x0", "a b", "a;id", "a/../root", "..", "$(id)", "a\nb", "a\x00", " svc", strings.Repeat("a", 257)} {
		got, err := ParseTarget(text)
		if err == nil || failure.KindOf(err) != failure.Denied || got != (job.Username{}) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestTimeLimit(t *testing.T) {
	if d := (Script{}).timeLimit(); d != 30*time.Second {
		t.Errorf("%s", d)
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		name      string
		ids       []claims.External
		federated string
		want      []string // what follows the claims
	}{
		{"none", nil, "", nil},
		{"name in capitals", []claims.External{{Provider: "Open-ID.connect 2é", ExternUID: "x"}}, "", []string{"JWT_IDENTITY_OPEN_ID_CONNECT_2_=x"}},
		{"every edge of the letters and digits", []claims.External{{Provider: "AZaz09@[`{/:", ExternUID: "x"}}, "", []string{"JWT_IDENTITY_AZAZ09______=x"}},
		{"two at one provider", []claims.External{{Provider: "a", ExternUID: "1"}, {Provider: "b", ExternUID: "2"}, {Provider: "a", ExternUID: "3"}}, "a", []string{"JWT_IDENTITY_B=2"}},
		{"two names, one variable", []claims.External{{Provider: "a-b", ExternUID: "1"}, {Provider: "a_b", ExternUID: "2"}}, "a-b", []string{"JWT_FEDERATED_UID=1"}},
		{"federated is another", []claims.External{{Provider: "a", ExternUID: "1"}}, "b", []string{"JWT_IDENTITY_A=1"}},
		{"no federated provider", []claims.External{{Provider: "", ExternUID: "1"}}, "", []string{"JWT_IDENTITY_=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := claims.Identity{User: claims.User{Identities: c.ids}}
			got, err := Script{Federated: c.federated}.environment(id)
			if err != nil {
				t.Fatal(err)
			}
			claims := []string{
				"PATH=/usr/bin:/bin", "LANG=C", "JWT_USER_LOGIN=", "JWT_USER_EMAIL=", "JWT_USER_ID=", "JWT_NAMESPACE_ID=", "JWT_PROJECT_ID=",
				"JWT_PROJECT_PATH=", "JWT_JOB_ID=", "JWT_PIPELINE_ID=", "JWT_PIPELINE_SOURCE=", "JWT_ISS=", "JWT_REF=", "JWT_REF_PROTECTED=false",
			}
			if !slices.Equal(got, append(claims, c.want...)) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestClaimsCannotBeSet(t *testing.T) {
	s := Script{Path: testutil.AbsPath(t, "/nonexistent"), Env: []job.Env{env(t, "JWT_USER_LOGIN=root")}}
	a, err := run(t, s, "alice", "")
	refused(t, a, err, failure.Config, "validation_env sets JWT_USER_LOGIN: names that begin with JWT_ are reserved for the token's claims")
}

func env(t testing.TB, pair string) job.Env {
	t.Helper()
	e, err := job.ParseEnv(pair)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
