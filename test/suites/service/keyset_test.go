package service

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// plant makes a state directory of the service account with a cached key set that contains
// its own key, as valid as the one of the site.
func (a attacker) plant(t *testing.T, own *gitlab.Key) (dir string) {
	t.Helper()
	cached, err := filepath.Glob(filepath.Join(a.s.StateDir, "keys-*.json"))
	testutil.Must(t, err)
	if len(cached) != 1 {
		t.Fatalf("the site has the key sets %q, want one", cached)
	}
	text, err := os.ReadFile(cached[0])
	testutil.Must(t, err)
	var file map[string]any
	testutil.Must(t, json.Unmarshal(text, &file))
	file["set"] = json.RawMessage(gitlab.Set(own.JWK()))
	text, err = json.Marshal(file)
	testutil.Must(t, err)
	dir = a.path("state")
	testutil.Must(t, os.Mkdir(dir, 0o700))
	planted := filepath.Join(dir, filepath.Base(cached[0]))
	testutil.Must(t, os.WriteFile(planted, text, 0o600))
	for _, path := range []string{dir, planted} {
		a.give(t, path)
	}
	return dir
}

// give makes the service account the owner of a file.
func (a attacker) give(t *testing.T, path string) {
	t.Helper()
	who := a.s.Service()
	testutil.Must(t, os.Chown(path, int(who.UID), int(who.GID)))
}

// TestOwnKeySet, for K1: the service account has a key of its own, a cached key set with it in
// a directory of its own, and a token that this key signed. No job of GitLab is needed for
// any of these, and none of them has an effect.
func TestOwnKeySet(t *testing.T) {
	for _, name := range sealedDeployments {
		t.Run(name, func(t *testing.T) {
			s := opened(t, name)
			attack(t, s, s.Job()).state(t) // the site's own cache exists
			own, err := gitlab.NewKey(2048)
			testutil.Must(t, err)
			job := s.Job()
			forged := gitlab.Sign(own.Header(), s.GitLab.Claims(job, s.User), gitlab.RS256(own))
			a := attack(t, s, site.WithToken(job, forged))
			evil := a.plant(t, own)

			if r := a.config(t, ""); r.status == 0 || strings.Contains(r.stdout, "JACAMAR_CI_STATE") {
				t.Errorf("the token is accepted: %s", r)
			}
			for what, state := range map[string]string{
				"the first version's": fmt.Sprintf(`{"v":1,"config":%q,"state_dir":%q,"job":%d,"jti":"x","facts":{},"runas":{},"dirs":{}}`, s.ConfigFile, evil, job.ID),
				"another job's":       attack(t, s, s.Job()).state(t),
			} {
				for _, stage := range []string{"prepare", "run", "cleanup"} {
					if r := a.stage(t, stage, state); r.status == 0 || strings.Contains(r.stdout, "it runs as") {
						t.Errorf("%s with %s state: %s", stage, what, r)
					}
				}
			}
			if name == "capabilities" { // with sudo, the account may run any program as the users
				a.ownConfiguration(t, evil)
			}
		})
	}
}

// ownConfiguration tries the site's configuration with another state directory, in a file of
// the service account.
func (a attacker) ownConfiguration(t *testing.T, stateDir string) {
	t.Helper()
	text, err := os.ReadFile(a.s.ConfigFile)
	testutil.Must(t, err)
	changed := strings.ReplaceAll(string(text), a.s.StateDir, stateDir)
	if changed == string(text) {
		t.Fatal("the configuration does not name the state directory")
	}
	site := *a.s
	site.ConfigFile = a.path("jacamar.toml")
	testutil.Must(t, os.WriteFile(site.ConfigFile, []byte(changed), 0o644))
	a.give(t, site.ConfigFile)
	b := a
	b.s = &site
	if r := b.config(t, ""); r.status == 0 || strings.Contains(r.stdout, "JACAMAR_CI_STATE") {
		t.Errorf("a configuration of the service account is accepted: %s", r)
	}
}
