package trial

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"jacamar-ci/test/harness/testutil"
)

// TestConfiguration: the trial has the site's rules about accounts and its scheduler, and
// nothing that names the real issuer.
func TestConfiguration(t *testing.T) {
	const site = `[general]
gitlab_server = "https://gitlab.example.com"
jwks_url = "https://mirror.example.com/keys"
"tls-ca-file" = "/etc/ca.pem"
state_dir = "/var/lib/jacamar"
data_dir = "$HOME"
executor = "slurm"
[auth]
downscope = "setuid"
jwt_required_aud = "x"
user_allowlist = ["a"]
project_allowlist = ["hpc/*"]
runner_ids = [5]
[auth.logging]
location = "/var/log/x"
[batch]
default_args = ["-p", "ci"]
[[batch.rule]]
args = ["-A"]
`
	text, err := Configuration(site, "/run/x/state")
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if _, err := toml.Decode(string(text), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"general": map[string]any{"gitlab_server": issuer, "state_dir": "/run/x/state", "data_dir": "$HOME", "executor": "slurm"},
		"auth": map[string]any{
			"downscope": "setuid", "user_allowlist": []any{"a"}, "logging": map[string]any{"enabled": true}, "journal": map[string]any{"enabled": false},
		},
		"batch": map[string]any{"default_args": []any{"-p", "ci"}, "rule": []map[string]any{{"args": []any{"-A"}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := Configuration("[general", ""); err == nil {
		t.Error("a file that is not TOML is accepted")
	}
}

// TestRemains: only directories that no other job has are removed with their contents.
func TestRemains(t *testing.T) {
	for builds, want := range map[string]string{
		"/home/a/.jacamar-ci/builds/selftest-abc/000": "/home/a/.jacamar-ci/builds/selftest-abc",
		"/scratch/ci/a/builds/jacamar_selftest_1/003": "/scratch/ci/a/builds/jacamar_selftest_1",
		"/scratch/ci/a/builds/static/selftest-abc/17": "/scratch/ci/a/builds/static/selftest-abc",
		"/builds/a/builds/selftest-abc/000":           "/builds/a/builds/selftest-abc",
		"/scratch/ci/a/builds/t0ken/000":              "",
		"/scratch/ci/a/builds/static/t0ken/17":        "",
		"/scratch/ci/a":                               "",
	} {
		r, ok := RemainsOf(testutil.AbsPath(t, builds), time.Now())
		if ok != (want != "") || r.own != want {
			t.Errorf("%s: %q, %v", builds, r.own, ok)
		}
	}
}

// TestRemove: what is older than the trial stays, and what others have put there.
func TestRemove(t *testing.T) {
	base := t.TempDir() + "/base"
	own := base + "/builds/selftest-abc/000"
	for _, dir := range []string{own + "/jacamar/selftest", base + "/builds/t0ken/000", base + "/scripts/selftest-abc", base + "/cache"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	left := func(began time.Time) (all []string) {
		r, ok := RemainsOf(testutil.AbsPath(t, own), began)
		if !ok {
			t.Fatal("not its own")
		}
		if err := r.Remove(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"builds/selftest-abc", "builds/t0ken/000", "builds", "scripts", "cache"} {
			if _, err := os.Stat(base + "/" + name); err == nil {
				all = append(all, name)
			}
		}
		return all
	}
	if diff := cmp.Diff([]string{"builds/t0ken/000", "builds", "scripts", "cache"}, left(time.Now().Add(time.Hour))); diff != "" {
		t.Errorf("all is older than the trial: %s", diff)
	}
	if diff := cmp.Diff([]string{"builds/t0ken/000", "builds"}, left(time.Now().Add(-time.Hour))); diff != "" && hasBirthTimes(t, base) {
		t.Errorf("all is of the trial, and a directory of another job: %s", diff)
	}
}

// hasBirthTimes reports whether the file system of a directory knows when it was made.
func hasBirthTimes(t *testing.T, dir string) bool {
	t.Helper()
	out, err := exec.Command("stat", "-c", "%W", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out)) != "0"
}

func TestWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		stage      Stage
		line, hint string
	}{
		"an error with a hint": {Stage{Status: 2, Log: "Running\nERROR: disk full\n       free some\n"}, "disk full", "free some"},
		"behind a mark":        {Stage{Status: 2, Log: "[jacamar] ERROR: disk full\n"}, "disk full", ""},
		"the last line":        {Stage{Status: 1, Log: "bash: ./x: Permission denied\n\n"}, "bash: ./x: Permission denied (exit status 1)", ""},
		"silent":               {Stage{Status: 3}, "exit status 3", ""},
		"no status":            {Stage{Err: errors.New("timed out")}, "timed out", ""},
	} {
		if line, hint := tc.stage.Why(); line != tc.line || hint != tc.hint {
			t.Errorf("%s: %q, %q", name, line, hint)
		}
	}
}

// TestPlain: colours and section marks are gone, and nothing of the text.
func TestPlain(t *testing.T) {
	in := "\x1b[0Ksection_start:1700000000:job[collapsed=true]\r\x1b[0KTitle\n\x1b[31;1mERROR: x\x1b[0m\n\x1b[0Ksection_end:1700000000:job\r\x1b[0K\n"
	if got := plain(in); got != "Title\nERROR: x\n\n" {
		t.Errorf("%q", got)
	}
}

// TestMint: the claims are of one job, and two trials have nothing in common.
func TestMint(t *testing.T) {
	u := User{ID: 7, Login: "alice", Provider: "ldap", ExternUID: "alice"}
	first, err := Mint(u, time.Unix(1700000000, 0), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Mint(u, time.Unix(1700000000, 0), time.Hour)
	if err != nil || string(first.KeySet) == string(second.KeySet) || first.token.Reveal() == second.token.Reveal() {
		t.Errorf("%v, or the same key again", err)
	}
	var response struct {
		ID        int64 `json:"id"`
		Variables []struct{ Key, Value string }
	}
	if err := json.Unmarshal(first.response("T"), &response); err != nil || response.ID != int64(first.JobID) || response.Variables[0].Value != first.token.Reveal() {
		t.Errorf("%v %+v", err, response)
	}
	if strings.Count(first.token.Reveal(), ".") != 2 {
		t.Error("the token has not three parts")
	}
}
