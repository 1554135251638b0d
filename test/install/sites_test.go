package install

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/test/fakes"
	"jacamar-ci/test/site"
	"jacamar-ci/test/stagerunner"
)

// sites are configurations after those that sites have published.
func sites(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/sites/*.toml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	return files
}

// TestSitesLoad loads each as it stands.
func TestSitesLoad(t *testing.T) {
	warned := map[string]string{"riken.toml": "unrestricted_cmd_line"}
	dir := trustedDir(t)
	for _, file := range sites(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			path, err := job.ParseAbsPath(filepath.Join(dir, filepath.Base(file)))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path.String(), text, 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			want := warned[filepath.Base(file)]
			if (len(c.Warnings) > 0) != (want != "") || (want != "" && !strings.Contains(c.Warnings[0].Key, want)) {
				t.Errorf("warnings %v, want %q", c.Warnings, want)
			}
		})
	}
}

// trustedDir is below the home of this account, as what is below a
// world-writable directory would be refused.
func trustedDir(t *testing.T) string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skipf("this account has no home: %v", err)
	}
	dir, err := os.MkdirTemp(home, "sites-test-")
	if err != nil {
		t.Skipf("cannot make a directory in the home of this account: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestSitesRun runs a job under each. What differs is what a machine differs in:
// the server, names of accounts, and where the programs and directories are.
func TestSitesRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it runs jobs as several accounts")
	}
	bin, conf := cluster(t)
	s := site.New(t)
	for _, file := range sites(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var published site.Config
			if _, err := toml.DecodeFile(file, &published); err != nil {
				t.Fatal(err)
			}
			other := s.Beside(t, func(c site.Config) { settle(c, published, s, bin, conf) })
			none := published["auth"]["downscope"] == "none"
			r := playedBy(t, other, none).Run(site.WithVariable(other.Job("id -un", "echo done"), "SCHEDULER_PARAMETERS", "-n 1"))
			if r.Outcome != stagerunner.Success || !strings.Contains(r.Trace, s.Account.Name+"\n") {
				t.Errorf("%s %s:\n%s", r.Outcome, r.Reason, r.Trace)
			}
		})
	}
}

// playedBy is a runner whose service is root's or, where jobs run as the service
// account, the user's own.
func playedBy(t *testing.T, s *site.Site, own bool) *stagerunner.Runner {
	t.Helper()
	r := s.Runner()
	if !own {
		return r
	}
	r.Credential = &stagerunner.Credential{UID: s.Account.UID, GID: s.Account.GID, Groups: s.Account.Groups}
	for _, path := range []string{s.StateDir, r.TempRoot, s.ConfigFile} {
		if err := os.Chown(path, int(s.Account.UID), int(s.Account.GID)); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// settle puts a published configuration on this machine: c is one that works
// here.
func settle(c, published site.Config, s *site.Site, bin, conf string) {
	here := map[string]any{}
	for _, key := range []string{"gitlab_server", "tls-ca-file", "state_dir"} {
		here[key] = c["general"][key]
	}
	jacamar := c["auth"]["jacamar_path"]
	for table := range c {
		delete(c, table)
	}
	for table, keys := range published {
		c[table] = keys
	}
	for key, value := range here {
		c.Set("general", key, value)
	}
	c.Set("auth", "jacamar_path", jacamar)
	if c["general"]["data_dir"] != "$HOME" {
		c.Set("general", "data_dir", filepath.Join(filepath.Dir(bin), "data"))
	}
	names := map[string]string{"user_allowlist": s.Account.Name, "groups_allowlist": s.Account.Name}
	for key, name := range names {
		if c["auth"][key] != nil {
			c.Set("auth", key, []string{name})
		}
	}
	c["auth"]["logging"] = map[string]any{"enabled": false}
	if c["general"]["executor"] != "shell" {
		// The only batch system that this suite has.
		c.Set("general", "executor", "slurm")
		env, _ := c["batch"]["env_vars"].([]any)
		c.Set("batch", "env_vars", append([]any{"SLURM_CONF=" + conf}, env...))
		c.Set("batch", "scheduler_bin", bin)
		c.Set("batch", "command_delay", "2s")
		c.Set("batch", "nfs_timeout", "10s")
	}
}

// cluster is a batch system of fakes, in reach of every account.
func cluster(t *testing.T) (bin, conf string) {
	t.Helper()
	dir, err := os.MkdirTemp("/srv", "jacamar-sites-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	store, err := fakes.Create(filepath.Join(dir, "state"), "slurm")
	if err != nil {
		t.Fatal(err)
	}
	bin = filepath.Join(dir, "bin")
	if err := errors.Join(fakes.Install(bin, "slurm"), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	// A data_dir for everybody is as /tmp is.
	data := filepath.Join(dir, "data")
	if err := errors.Join(os.Mkdir(data, 0o755), os.Chmod(data, 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go store.Serve(ctx, filepath.Join(bin, fakes.Program))
	return bin, store.Conf()
}
