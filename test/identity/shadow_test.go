package identity

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/test/setup/debian"
	"jacamar-ci/test/setup/namespace"
	"jacamar-ci/test/site"
	"jacamar-ci/test/stagerunner"
)

// shadowed is a namespace whose only entries of shadow(5) are these, in a file of that
// mode that belongs to root.
func shadowed(t *testing.T, entries, mode string) *namespace.Namespace {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/lib/libnss_extrausers.so.2": "libnss-extrausers"})
	must(t, os.MkdirAll("/var/lib/extrausers", 0o755))
	ns := namespace.Start(t)
	must(t, ns.Put("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: extrausers\nhosts: files dns\n", 0o644))
	must(t, ns.Empty("/var/lib/extrausers"))
	_, err := ns.Run("sh", "-c", `cd /var/lib/extrausers && printf '%s' "$1" >shadow && chmod "$2" shadow`, "sh", entries, mode)
	must(t, err)
	return ns
}

const (
	machines = "daemon:*:19000:0:99999:7:::\n" // what each machine has
	public   = "0644"                          // stands for a group that may read it
	secret   = "0600"
)

// serviceRecords are the records of a site whose service has another account.
func serviceRecords(t *testing.T, s *site.Site) (all []record) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.StateDir, config.LogName))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var r record
		must(t, json.Unmarshal([]byte(line), &r))
		all = append(all, r)
	}
	return all
}

// TestLockedAccounts: B10, in each deployment a locked or expired account is refused
// where shadow(5) can be read, and where the site wants that to be known.
func TestLockedAccounts(t *testing.T) {
	const (
		locked  = ":!$6$salt$hash:19000:0:99999:7:::\n"
		expired = ":*:19000:0:99999:7::1:\n"
		both    = ":!$6$salt$hash:19000:0:99999:7::1:\n"
		usable  = ":*:19000:0:99999:7:::\n"
	)
	cases := []struct {
		name     string
		entry    string // of the job's account, "" for none
		mode     string
		required bool
		rule     string // that refuses, "" for a job that runs
		root     string // that refuses where root asks
		check    string // the result of the check, for another account than root
	}{
		{"locked", locked, public, false, "locked", "locked", "ok"},
		{"expired", expired, public, false, "expired", "expired", "ok"},
		{"locked and expired", both, public, true, "locked", "locked", "ok"},
		{"usable", usable, public, true, "", "", "ok"},
		{"locked, not to be read", both, secret, false, "", "locked", "warn"},
		{"locked, not to be read and required", both, secret, true, "require_shadow", "locked", "fail"},
		{"usable, not to be read and required", usable, secret, true, "require_shadow", "", "fail"},
		{"of a directory", "", public, false, "", "", "ok"},
		{"of a directory, and required", "", public, true, "require_shadow", "require_shadow", "ok"},
	}
	for _, d := range site.Deployments() {
		if !d.Root {
			continue // the account of a job is the runner's own
		}
		t.Run(d.Name, func(t *testing.T) {
			s := d.Open(t)
			for _, c := range cases {
				t.Run("B10 "+c.name, func(t *testing.T) {
					rule, result := c.rule, c.check
					if d.Name == "root" {
						rule, result = c.root, "ok"
					}
					// sudo asks PAM about who calls it, and about nobody else.
					entries := machines + s.Crew.Runner + usable
					if c.entry != "" {
						entries += s.Account.Name + c.entry
					}
					ns := shadowed(t, entries, c.mode)
					must(t, s.Reconfigure(func(c2 site.Config) {
						c2.Set("auth", "require_shadow", c.required)
						c2.Set("auth", "logging", site.Table{"enabled": true})
					}))
					if err := os.Remove(filepath.Join(s.StateDir, config.LogName)); err != nil && !errors.Is(err, os.ErrNotExist) {
						t.Fatal(err)
					}
					r := inside(ns, s)
					job := r.Run(s.Job("id -un"))
					decision := record{}
					for _, e := range serviceRecords(t, s) {
						if e.Event == "decision" {
							decision = e
							break
						}
					}
					switch {
					case rule == "" && (job.Outcome != stagerunner.Success || decision.Decision != "allow"):
						t.Errorf("the job ended as %s, recorded %+v:\n%s", job.Outcome, decision, output(job))
					case rule != "":
						stopped(t, s, job, refused)
						if decision.Decision != "deny" || decision.Rule != rule {
							t.Errorf("recorded %+v, want a denial by %s", decision, rule)
						}
					}
					if got := shadowCheck(t, s, ns); got != result {
						t.Errorf("check says %q, want %q", got, result)
					}
				})
			}
		})
	}
}

// shadowCheck is what check says of shadow(5), as the account of the runner's service.
func shadowCheck(t *testing.T, s *site.Site, ns *namespace.Namespace) string {
	t.Helper()
	argv := []string{s.Auth, "check", "--json", "--configuration", s.ConfigFile}
	if launch := inside(ns, s).Hooks.Launch; launch != nil {
		argv = append(launch("check"), argv...)
	} else {
		argv = ns.Enter(argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.Output()
	var r report
	if jerr := json.Unmarshal(out, &r); jerr != nil {
		t.Fatalf("%v, %v: %s", err, jerr, out)
	}
	for _, l := range r.Lines {
		if l.Check == "shadow" {
			return l.Result
		}
	}
	return "nothing"
}
