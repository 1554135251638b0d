package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// inHome gives the job's account a file for the time of a test.
func inHome(t *testing.T, s *site.Site, name, text string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("the home of an ordinary user who runs the tests is not ours to change")
	}
	file := filepath.Join(s.Account.Home, name)
	was, err := os.ReadFile(file)
	if err := errors.Join(os.WriteFile(file, []byte(text), 0o644), os.Chown(file, int(s.Account.UID), int(s.Account.GID))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err != nil {
			os.Remove(file)
			return
		}
		if err := os.WriteFile(file, was, 0o644); err != nil {
			t.Error(err)
		}
	})
}

// TestProfilesChangeNoResult runs a job that fails in its own way and one that
// succeeds, under login profiles of every kind.
func TestProfilesChangeNoResult(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		for name, profile := range map[string]string{
			"exits with 1":        "exit 1\n",
			"exits with 0":        "exit 0\n",
			"fails":               "false\n",
			"prints":              "echo welcome; echo welcome >&2; printf '\\033]0;title\\007'\n",
			"sets errexit":        "set -e\n",
			"sets nounset":        "set -u\n",
			"leaves an exit trap": "trap 'exit 9' EXIT\n",
			"reads its input":     "read -t 1 line; cat\n",
			"has a syntax error":  "if then fi )\n",
			"changes directory":   "cd /tmp\n",
			"closes descriptors":  "exec 3>&- 4>&-\n",
			"becomes dash":        "exec dash\n",
			"starts a daemon":     "(sleep 1000 &)\n",
			"changes IFS":         "IFS=:\nset -f\nshopt -s nullglob extglob\n",
		} {
			t.Run(name, func(t *testing.T) {
				inHome(t, s, ".bash_profile", profile)
				inHome(t, s, ".bash_logout", "echo logged out; exit 5\n")
				job := s.Job("echo from the script")
				r := s.Runner().Run(job)
				site.Want(t, r, fakerunner.Success, 0)
				// A profile that exits is followed by its own shell's logout file.
				if (strings.Contains(r.Trace, "logged out") && !strings.HasPrefix(name, "exits")) || !strings.Contains(r.Trace, "from the script") {
					t.Errorf("the log:\n%s", r.Trace)
				}
				job = s.Job()
				job.Raw = map[string][]byte{"build_script": []byte("exit 7\n")}
				site.Want(t, s.Runner().Run(job), fakerunner.ScriptFailure, 7)
				s.NoProcess(t, 0)
			})
		}
	})
}

func TestProfileChangesTheEnvironment(t *testing.T) {
	privileged(t, func(t *testing.T, s *site.Site) {
		inHome(t, s, ".bash_profile", "export FROM_PROFILE=yes PATH=$PATH:/opt/mine\ngreet() { echo \"hello $1\"; }\n")
		r := s.Runner().Run(s.Job(`echo "$FROM_PROFILE $PATH $(greet you)"`))
		site.Want(t, r, fakerunner.Success, 0)
		if !strings.Contains(r.Trace, "yes /usr/local/bin:/usr/bin:/bin") || !strings.Contains(r.Trace, ":/opt/mine hello you") {
			t.Errorf("the log:\n%s", r.Trace)
		}
	})
}

// TestLimitsOfAProfile runs scripts that reach a limit of a login profile: the user's line
// names it. The login itself does not fail at it.
func TestLimitsOfAProfile(t *testing.T) {
	s := site.New(t)
	for _, tt := range []struct {
		profile, script string
		code            int
		hint            string
	}{
		{"ulimit -t 1", "while :; do :; done", 137, "at most 1 s of processor time (ulimit -t)"},
		{"ulimit -f 1", "yes | head -c 9999 >big", 153, "at most 1024 bytes (ulimit -f)"},
		{"ulimit -f 0", ": >empty; echo no forked file", 0, ""},
		{"ulimit -t 1000", "exit 137", 137, ""},
	} {
		t.Run(tt.profile+": "+tt.script, func(t *testing.T) {
			inHome(t, s, ".bash_profile", tt.profile+"\n")
			job := s.Job()
			job.Bare = tt.profile == "ulimit -f 0" // the runner's own scripts write files
			job.Raw = map[string][]byte{"build_script": []byte("set -e -o pipefail\n" + tt.script + "\n"), "get_sources": []byte("true\n")}
			r := s.Runner().Run(job)
			outcome := fakerunner.ScriptFailure
			if tt.code == 0 {
				outcome = fakerunner.Success
			}
			site.Want(t, r, outcome, tt.code, tt.hint)
			if strings.Contains(r.Trace, "JACAMAR_CI_NO_PROFILE") || tt.hint == "" && strings.Contains(r.Trace, "(ulimit") {
				t.Errorf("the log:\n%s", r.Trace)
			}
		})
	}
}

// TestHomeThatCannotBeEntered: a script that closes its home does not keep the later
// stages from starting.
func TestHomeThatCannotBeEntered(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the home of an ordinary user who runs the tests is not ours to change")
	}
	s := site.New(t)
	job := s.Job("chmod 0 ~")
	job.AfterScript = []string{"true"}
	job.Raw = map[string][]byte{"after_script": []byte("echo after it in $PWD; chmod 755 ~\n")}
	t.Cleanup(func() { _ = os.Chmod(s.Account.Home, 0o755) })
	site.Want(t, s.Runner().Run(job), fakerunner.Success, 0, "after it in /\n")
}
