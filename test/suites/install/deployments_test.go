package install

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// withService is a fresh machine that has GitLab Runner: the account gitlab-runner has the
// ids of a real one, and systemctl verifies the unit with its drop-ins.
const withService = withAccount + `
trap 'tail -n 5 /var/lib/jacamar/operator.log "$RUNNER_HOME/.jacamar-state/operator.log" 2>/dev/null || :' EXIT
printf '[Unit]\nDescription=GitLab Runner\n[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/gitlab-runner.service
systemctl() {
  if command -v systemd-analyze >/dev/null; then
    systemd-analyze verify --man=no --recursive-errors=no gitlab-runner.service >"$SCRATCH/units" 2>&1 || { cat "$SCRATCH/units"; return 1; }
    ! grep -E 'Unknown|Failed to parse' "$SCRATCH/units"
  fi
}
`

// withAccount is a fresh machine with that account.
const withAccount = fresh + `
for file in passwd shadow group gshadow; do sed -i "s/^$RUNNER:/gitlab-runner:/" /etc/$file; done
sed -i '/^gitlab-runner:/s,:[^:]*$,:/bin/bash,' /etc/passwd
mkdir -p "$RUNNER_HOME"
mount -t tmpfs -o "mode=0700,uid=$RUNNER_UID,gid=$RUNNER_GID" none "$RUNNER_HOME"
mkdir -p /etc/systemd/system
`

// section returns the blocks of a section of a page; those behind "As that user:" run as
// the user.
func section(t *testing.T, page, title string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "\n## "+title+"\n")
	if !found {
		t.Fatalf("%s has no section %s", page, title)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	for _, b := range regexp.MustCompile("(?ms)^(As that user:\n\n)?```sh\n(.*?)^```$").FindAllStringSubmatch(rest, -1) {
		if b[1] != "" {
			b[2] = fmt.Sprintf("runuser -u \"$ALICE\" -- bash -euc '%s'\n", strings.ReplaceAll("cd; "+b[2], "'", `'\''`))
		}
		blocks = append(blocks, b[2])
	}
	if len(blocks) == 0 {
		t.Fatalf("the section %s of %s has no commands", title, page)
	}
	return blocks
}

// fromSource replaces the package of a section by what the page has instead of it.
func fromSource(t *testing.T, title, script string) string {
	t.Helper()
	blocks := section(t, "docs/deployments.md", "From source")
	if len(blocks) != 2 {
		t.Fatalf("%d blocks, want one for all and one for capabilities", len(blocks))
	}
	source := blocks[0]
	if title == "Capabilities" {
		source += blocks[1]
	}
	dnf := regexp.MustCompile("(?m)^dnf install .*\n")
	if len(dnf.FindAllString(script, -1)) != 1 {
		t.Fatalf("the section %s installs no package:\n%s", title, script)
	}
	return "mount -t tmpfs -o mode=0755 none \"$TREE/bin\"\n" + dnf.ReplaceAllLiteralString(script, source)
}

// TestDeployments follows the page of deployments word for word on an empty machine, and
// then runs a job.
func TestDeployments(t *testing.T) {
	for _, d := range []struct {
		section string
		service bool
		// own is set where jobs run as the service.
		own bool
		// source is set where make install takes the place of the package.
		source bool
	}{
		{"Root", false, false, false},
		{"Capabilities", true, false, false},
		{"Sudo", true, false, false},
		{"None", true, true, false},
		{"No authorization", false, true, false},
		{"Root", false, false, true},
		{"Capabilities", true, false, true},
		{"Sudo", true, false, true},
	} {
		name := d.section
		if d.source {
			name += " from source"
		}
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !d.own && name != "Capabilities from source" {
				t.Skip("TestInstalled has this deployment as well, and each takes seconds")
			}
			s := rootSite(t)
			debian.Need(t, map[string]string{"/usr/bin/sudo": "sudo"})
			if out, err := run("", "unshare", "--mount", "true"); err != nil {
				t.Skipf("this machine gives root no mount namespace: %s", out)
			}
			script, service, variables := deployment(t, s, d.section)
			if d.source {
				if err := os.MkdirAll(filepath.Join(top, "bin"), 0o755); err != nil {
					t.Fatal(err)
				}
				script = fromSource(t, d.section, script)
			}
			begin := variables + withService
			r := wiredTo("/opt/jacamar/bin/jacamar-auth", s)
			runs, runner := s.Account.Name, ""
			switch {
			case d.section == "No authorization":
				file := filepath.Join(s.Account.Home, ".gitlab-runner/jacamar.toml")
				const jacamar = "/opt/jacamar/bin/jacamar"
				r.Custom = fakerunner.Custom{
					Config: []string{jacamar, "--no-auth", "config", "--configuration", file}, Prepare: []string{jacamar, "--no-auth", "prepare"},
					Run: []string{jacamar, "--no-auth", "run"}, Cleanup: []string{jacamar, "--no-auth", "cleanup", "--configuration", file},
				}
				runner = s.Account.Name
				begin += ownRunner
				must(t, "chown", s.Account.Name+":", r.TempRoot)
			case d.service:
				runner = "gitlab-runner"
				must(t, "chown", service.Name+":", r.TempRoot)
			}
			if d.service && d.own {
				runs = "gitlab-runner"
			}
			begins := ""
			if runner != "" {
				begins = "setpriv --reuid " + runner + " --regid $(id -g " + runner + ") --init-groups "
			}
			result, out := played(t, s, r, begin+script+begins+`"$FAKERUNNER" <"$SCRATCH/order.json" >"$SCRATCH/result.json"`+"\n")
			if result.Outcome != fakerunner.Success || !strings.Contains(result.Trace, "\n"+runs+"\n") {
				t.Errorf("%s %s:\n%s\n%s", result.Outcome, result.Reason, result.Trace, out)
			}
		})
	}
}

// deployment is a section of the page of deployments for a site, the account of the
// service, and the variables of withAccount.
func deployment(t *testing.T, s *site.Site, title string) (script string, service site.Account, variables string) {
	t.Helper()
	dist := filepath.Dir(packages(t, flavours[0]))
	service, err := site.LookupAccount(s.Accounts.Runner)
	if err != nil {
		t.Fatal(err)
	}
	script = strings.NewReplacer(
		"--gitlab-server https://gitlab.example.com", "--gitlab-server "+s.GitLab.URL+" --tls-ca-file "+s.GitLab.CAFile, "alice", s.Account.Name, "./dist/", dist+"/",
	).Replace(strings.Join(section(t, "docs/deployments.md", title), ""))
	for name, value := range map[string]string{
		"RUNNER": service.Name, "RUNNER_UID": fmt.Sprint(service.UID), "RUNNER_GID": fmt.Sprint(service.GID), "RUNNER_HOME": service.Home, "ALICE": s.Account.Name,
	} {
		variables += name + "=" + value + "\n"
	}
	return script, service, variables
}

// ownRunner is the file of a user's own runner, in a home that is gone with the machine.
const ownRunner = `
home=$(getent passwd "$ALICE" | cut -d: -f6)
mount -t tmpfs -o "mode=0700,uid=$(id -u "$ALICE"),gid=$(id -g "$ALICE")" none "$home"
mkdir -m 0700 "$home/.gitlab-runner"
printf '[[runners]]\n  name = "own"\n' >"$home/.gitlab-runner/config.toml"
chown -R "$ALICE:" "$home/.gitlab-runner"
`
