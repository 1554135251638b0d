package authz

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

func scriptFile(s *site.Site) string { return filepath.Join(s.Dir, "validate") }

// calls is the file to which a validation script adds its calls.
func calls(s *site.Site) string { return filepath.Join(s.Dir, "calls") }

const target = "TARGET_SERVICE_USER"

// validated gives the site a validation script in bash. It writes its arguments to
// $CALLS.
func validated(body string, more ...func(s *site.Site, runas site.Table)) func(*site.Site, site.Config) {
	return func(s *site.Site, c site.Config) {
		text := "#!/bin/bash\necho \"$*\" >>\"$CALLS\"\n" + body + "\n"
		if err := testutil.WriteProgram(scriptFile(s), []byte(text), 0o700); err != nil {
			panic(err)
		}
		runas := site.Table{
			"validation_script": scriptFile(s), "user_variable": target, "validation_env": []string{"CALLS=" + calls(s), "SITE=cluster-a"},
		}
		for _, f := range more {
			f(s, runas)
		}
		c.Set("auth", "runas", runas)
	}
}

// both applies two changes.
func both(a, b func(*site.Site, site.Config)) func(*site.Site, site.Config) {
	return func(s *site.Site, c site.Config) { a(s, c); b(s, c) }
}

// asking creates a job that requests another account.
func asking(login, wanted string) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job { return site.WithVariable(by(login)(s), target, wanted) }
}

func answer(username string) string { return fmt.Sprintf(`echo '{"username":%q}'`, username) }

// called compares the calls of the script.
func called(want ...string) func(*testing.T, *site.Site, fakerunner.Result) {
	return func(t *testing.T, s *site.Site, _ fakerunner.Result) {
		text, err := os.ReadFile(calls(s))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(string(text), "\n"); got != strings.Join(want, "\n") {
			t.Errorf("the script was called with %q, want %q", got, want)
		}
	}
}

// TestRunAs: what the script may decide, and that the rules apply to the resulting
// account.
func TestRunAs(t *testing.T) {
	peopleAttempts(t, []attempt{
		{name: "B9 accepts", job: by("ordinary"), change: validated("true"), as: "ordinary", see: called("ordinary")},
		{name: "B9 accepts with an empty object", job: by("ordinary"), change: validated("echo '{}'"), as: "ordinary"},
		{name: "B9 names another", job: by("ordinary"), change: validated(answer("svc")), as: "svc", see: called("ordinary")},
		{name: "B9 accepts the account asked for", job: asking("ordinary", "svc"), change: validated("true"), as: "svc", see: called("svc ordinary")},
		{name: "B9 names another than asked for", job: asking("ordinary", "svc"), change: validated(answer("carol")), as: "carol"},
		{name: "B9 nothing is asked for", job: asking("ordinary", ""), change: validated("true"), as: "ordinary", see: called("ordinary")},
		{name: "B9 no variable is configured", job: asking("ordinary", "svc"), change: validated("true", func(_ *site.Site, r site.Table) { delete(r, "user_variable") }), as: "ordinary", see: called("ordinary")},
		{name: "B9 a login that is no account", job: by("gl-only"), change: validated(answer("svc")), as: "svc", see: called("gl-only")},

		{name: "B9 names root", job: by("ordinary"), change: validated(answer("root")), rule: "root"},
		{name: "B9 names a second root", job: by("ordinary"), change: validated(answer("toor")), rule: "root"},
		{name: "B9 accepts root asked for", job: asking("ordinary", "root"), change: validated("true"), rule: "root"},
		{name: "B9 names nobody", job: by("ordinary"), change: validated(answer("nobody")), rule: "nobody"},
		{name: "B9 names a system account", job: by("ordinary"), change: validated(answer("daemon")), rule: "min_uid"},
		{name: "B9 names a locked account", job: by("ordinary"), change: validated(answer("locked")), rule: "locked"},
		{name: "B9 names an unknown account", job: by("ordinary"), change: validated(answer("gone")), rule: "account_unknown"},
		{name: "B9 names a blocked account", job: by("ordinary"), change: both(auth("user_blocklist", names{"svc"}), validated(answer("svc"))), rule: "user_blocklist"},
		{name: "B9 names an account outside the allowlist", job: by("ordinary"), change: both(auth("user_allowlist", names{"ordinary"}), validated(answer("svc"))), rule: "no_allowlist_match"},
		{name: "B9 a blocked login, another account", job: by("ordinary"), change: both(auth("user_blocklist", names{"ordinary"}), validated(answer("svc"))), as: "svc"},

		{name: "B8 lists before the script, blocked", job: by("ordinary"), change: both(auth("user_blocklist", names{"ordinary"}, "lists_pre_validation", true), validated(answer("svc"))), rule: "user_blocklist", after: called()},
		{name: "B8 lists before the script, group blocked", job: by("guest"), change: both(auth("groups_blocklist", names{"guests"}, "lists_pre_validation", true), validated(answer("svc"))), rule: "groups_blocklist", after: called()},
		{name: "B8 lists before and after the script", job: by("ordinary"), change: both(auth("user_allowlist", names{"ordinary"}, "lists_pre_validation", true), validated(answer("svc"))), rule: "no_allowlist_match"},
		{name: "B8 lists before the script, allowed both times", job: by("ordinary"), change: both(auth("user_allowlist", names{"ordinary", "svc"}, "lists_pre_validation", true), validated(answer("svc"))), as: "svc"},
		{name: "B8 lists before the script, a login without account", job: by("gl-only"), change: both(auth("groups_allowlist", names{"hpc"}, "lists_pre_validation", true), validated(answer("member"))), rule: "no_allowlist_match", after: called()},

		{name: "B7 bot, the script names its account", job: user(504, "project_12_bot_0a1b2c"), change: both(auth("allow_bot_accounts", true), validated(answer("svc"))), as: "svc", see: called("project_12_bot_0a1b2c")},
		{name: "B7 bot, the script only accepts", job: user(504, "project_12_bot_0a1b2c"), change: both(auth("allow_bot_accounts", true), validated("true")), rule: "account_unknown"},
		{name: "B7 bot asks for an account, the script accepts", job: func(s *site.Site) fakerunner.Job {
			return site.WithVariable(user(504, "project_12_bot_0a1b2c")(s), target, "svc")
		}, change: both(auth("allow_bot_accounts", true), validated("true")), rule: "bot_account"},
		{name: "B7 bot, bots not allowed", job: user(504, "project_12_bot_0a1b2c"), change: validated(answer("svc")), rule: "bot_account", after: called()},
	})
}

// TestRunAsNames: B3 and B4, a name through the script or through the variable is
// checked like one through the token.
func TestRunAsNames(t *testing.T) {
	var all []attempt
	for _, name := range []string{
		"0", "0x0", "1000", "-u", "--login", "a b", "a;id", "a/../root", "a/../b", "..", ".", "a/b", "%h", "~root", "$(id)", "rοot", "root\n", "a:b", strings.Repeat("a", 300), " svc",
	} {
		text := strings.ReplaceAll(name, "\n", `\n`)
		all = append(all, attempt{
			name: fmt.Sprintf("B3 script names %.20q", name), job: by("ordinary"), change: validated(`printf '%s' '{"username":"` + text + `"}'`), rule: "runas",
		}, attempt{
			name: fmt.Sprintf("B3 job asks for %.20q", name), job: asking("ordinary", name), change: validated("true"), rule: "runas", after: called(),
		})
	}
	peopleAttempts(t, append(all,
		attempt{name: "B3 script names the empty name", job: by("ordinary"), change: validated(answer("")), rule: "runas"},
		attempt{name: "B3 script names another case", job: by("ordinary"), change: validated(answer("SVC")), rule: "account_unknown"},
	))
}

// TestRunAsFaults: B9, any output except the documented one refuses the job.
func TestRunAsFaults(t *testing.T) {
	sum := func(of func(*site.Site) []byte) func(*site.Site, site.Table) {
		return func(s *site.Site, r site.Table) {
			h := sha256.Sum256(of(s))
			r["sha256"] = hex.EncodeToString(h[:])
		}
	}
	own := func(s *site.Site) []byte {
		text, err := os.ReadFile(scriptFile(s))
		if err != nil {
			panic(err)
		}
		return text
	}
	spoilt := func(spoil func(file string) error) func(*site.Site, site.Table) {
		return func(s *site.Site, _ site.Table) {
			if err := spoil(scriptFile(s)); err != nil {
				panic(err)
			}
		}
	}
	in := func(dir string) func(*site.Site, site.Table) {
		return func(s *site.Site, r site.Table) {
			file := filepath.Join(dir, "validate-"+filepath.Base(s.Dir))
			if err := testutil.WriteProgram(file, own(s), 0o700); err != nil {
				panic(err)
			}
			r["validation_script"] = file
		}
	}
	open := t.TempDir()
	testutil.Must(t, os.Chmod(open, 0o777))
	svc := answer("svc")
	peopleAttempts(t, []attempt{
		{name: "B9 exit status", job: by("ordinary"), change: validated(svc + "; exit 1"), rule: "runas"},
		{name: "B9 signal", job: by("ordinary"), change: validated(svc + "; kill -SEGV $$"), rule: "runas", temporary: true},
		{name: "B9 killed", job: by("ordinary"), change: validated(svc + "; kill -KILL $$"), rule: "runas", temporary: true},
		{name: "B9 garbage", job: by("ordinary"), change: validated("echo welcome"), rule: "runas"},
		{name: "B9 banner before the answer", job: by("ordinary"), change: validated("echo welcome; " + svc), rule: "runas"},
		{name: "B9 two answers", job: by("ordinary"), change: validated(svc + "; " + svc), rule: "runas"},
		{name: "B9 unknown member", job: by("ordinary"), change: validated(`echo '{"username":"svc","uid":0}'`), rule: "runas"},
		{name: "B9 member twice", job: by("ordinary"), change: validated(`echo '{"username":"svc","username":"root"}'`), rule: "runas"},
		{name: "B9 member in another case", job: by("ordinary"), change: validated(`echo '{"Username":"svc"}'`), rule: "runas"},
		{name: "B9 list", job: by("ordinary"), change: validated(`echo '["svc"]'`), rule: "runas"},
		{name: "B9 null", job: by("ordinary"), change: validated(`echo null`), rule: "runas"},
		{name: "B9 name of the wrong type", job: by("ordinary"), change: validated(`echo '{"username":0}'`), rule: "runas"},
		{name: "B9 half an answer", job: by("ordinary"), change: validated(`printf '{"username":"svc"'`), rule: "runas"},
		{name: "B9 64 KiB and more", job: by("ordinary"), change: validated(`printf '{"user_message":"%70000s"}' x`), rule: "runas", temporary: true},
		{name: "B9 1 GiB", job: by("ordinary"), change: validated("exec head -c 1073741824 /dev/zero"), rule: "runas", temporary: true},
		{name: "B9 1 GiB of errors", job: by("ordinary"), change: validated("head -c 1073741824 /dev/zero >&2; exit 1"), rule: "runas"},
		{name: "B9 relative data_dir", job: by("ordinary"), change: validated(`echo '{"data_dir":"data"}'`), rule: "runas"},
		{name: "B9 climbing data_dir", job: by("ordinary"), change: validated(`echo '{"data_dir":"/home/../root"}'`), rule: "runas"},
		{name: "B9 writable by others", job: by("ordinary"), change: validated(svc, spoilt(func(f string) error { return os.Chmod(f, 0o777) })), line: misconfigured, after: called()},
		{name: "B9 writable by group", job: by("ordinary"), change: validated(svc, spoilt(func(f string) error { return os.Chmod(f, 0o770) })), line: misconfigured, after: called()},
		{name: "B9 of another owner", job: by("ordinary"), change: validated(svc, spoilt(func(f string) error { return os.Chown(f, 4242, 4242) })), line: misconfigured, after: called()},
		{name: "B9 in a directory for all", job: by("ordinary"), change: validated(svc, in(open)), line: misconfigured, after: called()},
		{name: "B9 a link", job: by("ordinary"), change: validated(svc, spoilt(func(f string) error {
			return errors.Join(os.Rename(f, f+".real"), os.Symlink(f+".real", f))
		})), line: misconfigured, after: called()},
		{name: "B9 not executable", job: by("ordinary"), change: validated(svc, spoilt(func(f string) error { return os.Chmod(f, 0o600) })), line: misconfigured, after: called()},
		{name: "B9 gone", job: by("ordinary"), change: validated(svc, spoilt(os.Remove)), line: misconfigured, after: called()},
		{name: "B9 no interpreter", job: by("ordinary"), change: validated(svc, spoilt(func(f string) error { return testutil.WriteProgram(f, []byte("#!/nonexistent/sh\n"), 0o700) })), line: misconfigured, after: called()},
		{name: "B9 right sum", job: by("ordinary"), change: validated(svc, sum(own)), as: "svc"},
		{name: "B9 wrong sum", job: by("ordinary"), change: validated(svc, sum(func(*site.Site) []byte { return nil })), line: misconfigured, after: called()},
		{name: "B9 changed after the sum was taken", job: by("ordinary"), change: validated(svc, sum(own), spoilt(func(f string) error {
			return testutil.WriteProgram(f, []byte("#!/bin/sh\necho '{\"username\":\"carol\"}'\n"), 0o700)
		})), line: misconfigured, after: called()},
		{name: "B9 replaces itself while it runs", job: by("ordinary"), change: validated(`printf '#!/bin/sh\necho changed >>"$CALLS"\n' >"$SELF"; `+svc, func(s *site.Site, r site.Table) {
			r["validation_env"] = append(r["validation_env"].([]string), "SELF="+scriptFile(s))
		}, sum(own)), as: "svc", see: called("ordinary")},
		{name: "B9 environment that overrides a claim", job: by("ordinary"), change: validated(svc, func(_ *site.Site, r site.Table) {
			r["validation_env"] = []string{"JWT_USER_LOGIN=root"}
		}), line: misconfigured, after: called()},
		{name: "B9 table without a script", job: by("ordinary"), change: func(_ *site.Site, c site.Config) {
			c.Set("auth", "runas", site.Table{"user_variable": target})
		}, line: misconfigured},
	})
}

// TestRunAsHangs: B9, a script that hangs, alone or with what it leaves behind,
// ends the stage in time.
func TestRunAsHangs(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"B9 hangs":                            "exec sleep 1000",
		"B9 hangs and ignores signals":        "trap '' TERM HUP INT; while :; do sleep 1000; done",
		"B9 hangs after its answer":           answer("root") + "; exec sleep 1000",
		"B9 a daemon of its holds the answer": "exec 9>&1; x=$(setsid -f sh -c 'exec sleep 40 >&9'); true",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			reconfigure(t, s, validated(body))
			c, _ := once(t, s)
			if c.Status != 2 || !strings.Contains(string(c.Stderr), failed) || c.Duration > 45*time.Second {
				t.Errorf("status %d after %v: %s", c.Status, c.Duration, c.Stderr)
			}
			if d := events(t, s, "decision"); len(d) != 1 || d[0].Decision != "deny" || d[0].Rule != "runas" {
				t.Errorf("recorded %+v", d)
			}
		})
	}
}

// TestRunAsClaims: the script gets the verified claims, and nothing that the job's author
// controls.
func TestRunAsClaims(t *testing.T) {
	check := `
[ "$JWT_USER_LOGIN" = ordinary ] && [ "$JWT_USER_EMAIL" = x@example.org ] && [ "$JWT_USER_ID" -gt 0 ] && [ "$JWT_NAMESPACE_ID" = 3 ] &&
[ "$JWT_PROJECT_ID" = 12 ] && [ "$JWT_PROJECT_PATH" = group/project ] && [ "$JWT_JOB_ID" -gt 0 ] && [ "$JWT_PIPELINE_ID" = 4200 ] &&
[ "$JWT_PIPELINE_SOURCE" = push ] && [ "$JWT_ISS" = "$ISSUER" ] && [ "$JWT_REF" = main ] && [ "$JWT_REF_PROTECTED" = false ] &&
[ "$JWT_IDENTITY_SAML_MAIN" = ordinary@saml ] && [ "$JWT_FEDERATED_UID" = ordinary@saml ] && [ "$SITE" = cluster-a ] &&
[ -z "$(env | grep -E '^(CUSTOM_ENV_|CI_|TMPDIR=|HOME=|BUILD_|SYSTEM_|JOB_|LD_|BASH_ENV|JACAMAR)')" ]`
	peopleAttempts(t, []attempt{{
		name: "B9 claims", as: "ordinary", change: validated(check, func(s *site.Site, r site.Table) {
			r["federated"] = "saml-main"
			r["validation_env"] = append(r["validation_env"].([]string), "ISSUER="+s.GitLab.URL)
		}),
		job: func(s *site.Site) fakerunner.Job {
			j := caused(s, gitlab.User{ID: 99, Login: "ordinary", Email: "x@example.org", Identities: [][2]string{{"saml-main", "ordinary@saml"}}})
			for _, v := range [][2]string{{"JWT_USER_LOGIN", "root"}, {"LD_PRELOAD", "/tmp/evil.so"}, {"BASH_ENV", "/tmp/evil"}} {
				j = site.WithVariable(j, v[0], v[1])
			}
			return j
		},
	}})
}

// TestRunAsAnswer: the script's output in addition to a name.
func TestRunAsAnswer(t *testing.T) {
	data := func(s *site.Site) string { return filepath.Join(peopleNamespace.dir, "svc", "data") }
	peopleAttempts(t, []attempt{
		{
			name: "B9 data_dir", job: by("ordinary"), as: "svc",
			change: func(s *site.Site, c site.Config) {
				testutil.Must(t, os.MkdirAll(data(s), 0o711))
				testutil.Must(t, os.Chown(data(s), 20009, 20009))
				validated(fmt.Sprintf(`echo '{"username":"svc","data_dir":%q}'`, data(s)))(s, c)
			},
			see: func(t *testing.T, s *site.Site, r fakerunner.Result) {
				if !strings.HasPrefix(r.BuildsDir, data(s)+"/svc/") {
					t.Errorf("the job was in %s", r.BuildsDir)
				}
			},
		},
		{
			name: "B9 message to the user", job: by("ordinary"), as: "svc",
			change: both(func(_ *site.Site, c site.Config) { c.Set("general", "job_message", "Welcome.\nMaintenance on Friday.") },
				validated(`echo '{"username":"svc","user_message":"runs as svc \u001b[31mby rule 7\nERROR: fake"}'`)),
			see: func(t *testing.T, _ *site.Site, r fakerunner.Result) {
				c, _ := r.Call("prepare")
				want := ""
				for _, line := range []string{"Welcome.", "Maintenance on Friday.", "runs as svc ?[31mby rule 7 ERROR: fake"} {
					want += "\x1b[0;36mjacamar: " + line + "\x1b[0m\n"
				}
				if !strings.HasPrefix(string(c.Stdout), want) {
					t.Errorf("prepare wrote %q", c.Stdout)
				}
			},
		},
		{
			name: "B9 message with a refusal", job: by("ordinary"), rule: "runas",
			change: validated(`echo '{"user_message":"ask for access at https://site.example/ci"}'; exit 1`),
			after: func(t *testing.T, _ *site.Site, r fakerunner.Result) {
				c, _ := r.Call("config")
				if !strings.Contains(string(c.Stderr), "jacamar:        ask for access at https://site.example/ci\x1b[0m\n") {
					t.Errorf("config wrote %q", c.Stderr)
				}
			},
		},
	})
}

// TestRunAsHoldsForTheJob: the script runs once; its output is valid for the whole job,
// and the rules are applied in each stage.
func TestRunAsHoldsForTheJob(t *testing.T) {
	ns := inPeopleNamespace(t)
	t.Parallel()
	for _, tc := range []struct {
		name  string
		later func(s *site.Site, c site.Config)
		want  string // the rule that refuses the later stages
		as    string
	}{
		{name: "B9 script refuses later", later: validated("exit 1"), as: "svc"},
		{name: "B9 script returns root later", later: validated(answer("root")), as: "svc"},
		{name: "B9 script hangs later", later: validated("sleep 1000"), as: "svc"},
		{name: "B8 blocked later", later: both(validated("true"), auth("user_blocklist", names{"svc", "ordinary"})), want: "user_blocklist"},
		{name: "B2 minimum raised later", later: both(validated("true"), lowest(30000)), want: "min_uid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			reconfigure(t, s, validated(answer("svc")))
			r := in(ns, s)
			r.Hooks.Ended = func(c fakerunner.Call) {
				if c.Stage == "config" {
					reconfigure(t, s, tc.later)
				}
			}
			j := by("ordinary")(s)
			result := r.Run(j)
			if tc.want == "" {
				ran(t, s, result, tc.as)
				called("ordinary")(t, s, result)
				return
			}
			if result.Outcome != fakerunner.ScriptFailure {
				t.Errorf("the job ended as %s", result.Outcome)
			}
			if d := events(t, s, "decision"); d[1].Stage != "prepare" || d[1].Rule != tc.want {
				t.Errorf("recorded %+v", d[1])
			}
		})
	}
}
