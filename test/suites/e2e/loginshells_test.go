package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/profiles"
	"jacamar-ci/test/harness/site"
)

// counting is a profile that counts its logins, and prints.
var counting = profiles.Profile{
	Text:  `echo "profile output"; echo login >>~/logins/count; export LOADED=$(wc -l <~/logins/count) PATH=~/logins/bin:$PATH; f() { echo function; }; export -f f; umask 027`,
	Files: map[string]string{"logins/bin/tool": "#!/bin/sh\necho tool\n"},
}

// everyScript are the run stages of a job with all features.
var everyScript = []string{
	"prepare_script", "get_sources", "restore_cache", "download_artifacts", "build_script", "after_script",
	"archive_cache", "upload_artifacts_on_success", "cleanup_file_variables",
}

// loginJob is a job whose scripts print what their programs have from the profile.
func loginJob(s *site.Site) fakerunner.Job {
	j := s.Job()
	j.Raw = map[string][]byte{}
	for _, stage := range everyScript {
		j.Raw[stage] = []byte(`bash -c 'f; tool; umask; echo "$LOADED $JACAMAR_CI_STAGE $PWD"' || exit 9` + "\n")
	}
	j.Raw["prepare_script"] = append([]byte("[[ $LOADED ]] || { echo plain; exit; }\n"), j.Raw["prepare_script"]...)
	return j
}

// countLogins returns how many logins there were since the last call.
func countLogins(t *testing.T, home string) int {
	t.Helper()
	file := filepath.Join(home, "logins", "count")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func inLoginSite(t *testing.T, f func(t *testing.T, s *site.Site)) {
	if os.Geteuid() != 0 {
		t.Skip("the home of an ordinary user who runs the tests is not ours to change")
	}
	s := site.New(t)
	counting.Install(t, s.Account.Home, int(s.Account.UID), int(s.Account.GID))
	f(t, s)
}

// TestLoginShells: by default the first script has no login, and the other scripts of the
// runner's share one, after which their programs have the same as after one of their own. What the profile prints is in the log once.
func TestLoginShells(t *testing.T) {
	inLoginSite(t, func(t *testing.T, s *site.Site) {
		for mode, logins := range map[string]int{"job": 3, "stage": 9} {
			if err := s.Reconfigure(func(c site.Config) { c.Set("general", "login_shells", mode) }); err != nil {
				t.Fatal(err)
			}
			r := s.Runner().Run(loginJob(s))
			site.Want(t, r, fakerunner.Success, 0)
			if n := countLogins(t, s.Account.Home); n != logins {
				t.Errorf("%s: %d logins, want %d", mode, n, logins)
			}
			if n := strings.Count(r.Trace, "profile output"); n != 1 {
				t.Errorf("%s: the profile's output is in the log %d times:\n%s", mode, n, r.Trace)
			}
			for _, stage := range everyScript {
				call, _ := r.Call(stage)
				got := strings.ReplaceAll(string(call.Stdout), "\r", "")
				if mode == "job" && stage == "prepare_script" {
					// The runner's own: it has no login.
					if call.Status != 0 || got != "plain\n" {
						t.Errorf("%s ended with %d and printed\n%s%s", stage, call.Status, call.Stdout, call.Stderr)
					}
					continue
				}
				if call.Status != 0 || !strings.Contains(got, "function\ntool\n0027\n") || !strings.Contains(got, " "+stage+" "+s.Account.Home+"\n") {
					t.Errorf("%s, %s ended with %d and printed\n%s%s", mode, stage, call.Status, call.Stdout, call.Stderr)
				}
			}
		}
	})
}

// TestSharedLoginSpoiled: a job that changes what its login has left harms none of its
// later scripts, and no other job.
func TestSharedLoginSpoiled(t *testing.T) {
	inLoginSite(t, func(t *testing.T, s *site.Site) {
		spoils := []string{
			"echo exit 3 >$F", "sed -i 's/^umask.*/exit 0/' $F", "rm $F", "chmod 644 $F", "rm $F; ln -s /etc/passwd $F", "rm $F; mkfifo $F", "rm $F; mkdir $F", ">$F",
			`echo "kill -9 $$" >/tmp/x.$$; { head -n1 $F; cat /tmp/x.$$; } >$F.2; mv $F.2 $F; rm /tmp/x.$$`,
			// Of the right length: the shell ends, and the script has a login.
			`size=$(tail -n+2 $F | wc -c); text="exit 0 #$(printf %$((size - 17))s)"; { head -n1 $F; printf '%s\n# saved\n' "$text"; } >$F.2; chmod 600 $F.2; mv $F.2 $F; tail -n+2 $F | wc -c`,
		}
		if testing.Short() {
			spoils = []string{spoils[0], spoils[len(spoils)-1]}
		}
		for _, spoil := range spoils {
			j := loginJob(s)
			j.Raw["build_script"] = []byte("F=$(ls -d ~/.jacamar-ci/scripts/*/*/login-environment); [ -f $F ] || exit 8\n" + spoil + "\n")
			r := s.Runner().Run(j)
			site.Want(t, r, fakerunner.Success, 0)
			for _, stage := range []string{"archive_cache", "upload_artifacts_on_success", "cleanup_file_variables"} {
				if call, _ := r.Call(stage); call.Status != 0 || !strings.Contains(string(call.Stdout), "function") {
					t.Errorf("%s: %s ended with %d and printed\n%s%s", spoil, stage, call.Status, call.Stdout, call.Stderr)
				}
			}
			countLogins(t, s.Account.Home)
			next := s.Runner().Run(loginJob(s))
			site.Want(t, next, fakerunner.Success, 0)
			if n := countLogins(t, s.Account.Home); n != 3 {
				t.Errorf("%s: the next job had %d logins, want 3", spoil, n)
			}
		}
	})
}
