package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/inherit"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// looked is what the posture program printed, by attribute.
func looked(t *testing.T, text string) map[string]string {
	t.Helper()
	for line := range strings.Lines(text) {
		if answer, ok := strings.CutPrefix(line, "posture {"); ok {
			has := map[string]string{}
			if err := json.Unmarshal([]byte("{"+answer), &has); err != nil {
				t.Fatal(err)
			}
			return has
		}
	}
	t.Fatalf("it did not look:\n%s", text)
	return nil
}

// unlooked are the attributes that the posture program does not print: the kernel's
// own, and those that only a process itself can read, with the test of each.
var unlooked = map[string]string{
	"process and thread keyrings": "kernel", "identity of the process": "kernel", "addresses that the kernel was given": "kernel",
	"memory": "kernel", "accounting": "kernel", "the kernel's own work with it": "kernel",
	"terminal audit": "no terminal", "signal actions": "TestPosture", "parent-death signal": "internal/jobrun/internal/process",
	"reaper of orphans": "internal/jobrun/internal/process", "writing back of memory": "needs CAP_SYS_RESOURCE to be read",
}

// TestJobIsLikeALogin compares all attributes of a job's shell with those of a login of
// its user, under a service that passes on all it can: equal, or different as listed
// (docs/security/inheritance.md).
func TestJobIsLikeALogin(t *testing.T) {
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			program := postureProgram(t, s)
			look := fmt.Sprintf("%s look; true", program)
			want := looked(t, login(t, s, look))
			for _, audited := range []string{"", "0"} {
				if audited != "" && !mayAudit() {
					continue
				}
				job := s.Job()
				job.Raw = map[string][]byte{"build_script": []byte(look + "\n")}
				var res fakerunner.Result
				if os.Geteuid() == 0 {
					res = served(t, s, program, audited, job)[0]
				} else {
					res = s.Runner().Run(job)
				}
				call, _ := res.Call("build_script")
				if res.Outcome != fakerunner.Success {
					t.Fatalf("%s:\n%s", res.Outcome, res.Trace)
				}
				got := looked(t, call.ScriptOutput())
				for _, a := range inherit.List() {
					compare(t, a, got, want, differences(t, s, d.Name, audited))
				}
			}
		})
	}
}

func mayAudit() bool { return os.Geteuid() == 0 && has(unix.CAP_AUDIT_CONTROL) }

func compare(t *testing.T, a inherit.Attribute, got, want, different map[string]string) {
	t.Helper()
	if _, known := unlooked[a.Name]; known {
		return
	}
	is, ok := got[a.Name]
	if !ok {
		t.Errorf("%q is not reported", a.Name)
		return
	}
	expected, differs := different[a.Name]
	if !differs {
		expected = want[a.Name]
	} else if a.Differs == "" && expected != want[a.Name] {
		t.Errorf("%q differs from a login (%q), which is not in the list", a.Name, want[a.Name])
	}
	if is != expected {
		t.Errorf("%s: it is %q, want %q", a.Name, is, expected)
	}
}

// differences are the attributes of a job that differ from a login, each explained in the
// list.
func differences(t *testing.T, s *site.Site, deployment, audited string) map[string]string {
	t.Helper()
	keys := fmt.Sprintf("of %d, named _ses, user keyring true", s.Account.UID)
	table := map[string]string{
		"session keyring": keys, "descriptors": "0 1 2", "session and terminal": "leads true, terminal 0", "umask": "0022",
		"dumpable": "true", "login uid": fmt.Sprint(s.Account.UID),
	}
	if os.Geteuid() == 0 {
		table["core dump filter"] = "0000007f"
	}
	if audited != "" && deployment != "root" {
		table["login uid"] = audited // without CAP_AUDIT_CONTROL it stays
	}
	if deployment == "root" && has(unix.CAP_SYS_ADMIN) {
		table["system-call filter"] = "2"
	}
	// The service's, which are this process's; of sudo's PAM session, none of its own.
	limits := strings.Join(strings.Fields(output(t, "/bin/cat", "/proc/self/limits")), " ")
	if deployment == "sudo" {
		limits = regexp.MustCompile(`core file size \S+ \S+`).ReplaceAllString(limits, "core file size 0 0")
	}
	table["resource limits"] = limits
	return table
}

// TestKeyringsAreNotShared runs jobs of two users, or of one, under one service with one
// keyring: no stage finds the service's key or another job's, and a job revokes only its
// own.
func TestKeyringsAreNotShared(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it starts a service with a keyring of its own")
	}
	for _, d := range site.Deployments() {
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t, quick)
			program := postureProgram(t, s)
			users := []string{s.Account.Name, s.Account.Name, s.Account.Name}
			if d.Changes {
				users[1] = s.Accounts.Bob
			}
			var jobs []fakerunner.Job
			for _, user := range users {
				as(t, s, user)
				jobs = append(jobs, keyJob(s, program))
			}
			seen := map[string]string{}
			for i, res := range served(t, s, program, "", jobs...) {
				site.Want(t, res, fakerunner.Success, 0)
				as(t, s, users[i])
				for _, stage := range []string{"build_script", "after_script"} {
					call, _ := res.Call(stage)
					keyring := judgeKeys(t, s, call.ScriptOutput())
					if other := seen[keyring]; other != "" {
						t.Errorf("job %d, %s: it has the keyring of %s", i, stage, other)
					}
					seen[keyring] = fmt.Sprintf("job %d, %s", i, stage)
				}
			}
		})
	}
}

// keyJob is a job that shows its keyring in two stages, and at last revokes it.
func keyJob(s *site.Site, program string) fakerunner.Job {
	var text string
	for _, verb := range []string{"own", "find", "add", "find", "revoke"} {
		text += program + " keys " + verb + "\n"
	}
	job := s.Job()
	job.AfterScript = []string{"true"}
	job.Raw = map[string][]byte{"build_script": []byte(text), "after_script": []byte(text)}
	return job
}

// judgeKeys returns the keyring that a stage has shown.
func judgeKeys(t *testing.T, s *site.Site, text string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	own := fmt.Sprintf("of %d, named _ses, user keyring true", s.Account.UID)
	if len(lines) != 3 || !strings.HasSuffix(lines[0], own) || lines[1] != "found false" || lines[2] != "found true" {
		t.Errorf("%q, want a keyring %s, nothing found and then its own key", lines, own)
	}
	return lines[0]
}

// TestFullKeyringQuota: a job whose account cannot have one more key, as some hundred
// stages of it at once cannot, has the account's user session keyring, and never the
// keyring of the service.
func TestFullKeyringQuota(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it acts as another account")
	}
	privileged(t, func(t *testing.T, s *site.Site) {
		program := postureProgram(t, s)
		keys := func(verb string) {
			output(t, "/usr/bin/setpriv", "--reuid="+s.Account.Name, "--regid="+fmt.Sprint(s.Account.GID), "--init-groups", "--", program, "keys", verb)
		}
		t.Cleanup(func() { keys("clear") })
		keys("fill")
		// A process without any session keyring may have one beyond its quota.
		res := served(t, s, program, "", s.Job(program+" keys own", program+" keys find"))[0]
		site.Want(t, res, fakerunner.Success, 0)
		if own := fmt.Sprintf("of %d, named _uid_ses.%[1]d, user keyring true\n", s.Account.UID); !strings.Contains(res.Trace, own) || !strings.Contains(res.Trace, "\nfound false\n") {
			t.Errorf("want a keyring %sin the log:\n%s", own, res.Trace)
		}
		keys("clear")
		site.Want(t, s.Runner().Run(s.Job("true")), fakerunner.Success, 0)
	})
}

// as makes an account the one of the site's jobs.
func as(t *testing.T, s *site.Site, name string) {
	t.Helper()
	account, err := site.LookupAccount(name)
	if err != nil {
		t.Fatal(err)
	}
	s.Account, s.User.Login = account, name
}
