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
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// sites are configurations modelled on those that sites have published.
func sites(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/sites/*.toml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	return files
}

// TestSitesLoad loads each unchanged.
func TestSitesLoad(t *testing.T) {
	warned := map[string]string{"riken.toml": "unrestricted_cmd_line"}
	dir := testutil.HomeDir(t)
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

// deployments are how a site runs the driver, where it is not by root.
var deployments = map[string]func(*site.Site) error{
	"cineca.toml": (*site.Site).ServeUnchanged,
	"nersc.toml":  (*site.Site).ServeUnchanged,
	"riken.toml":  (*site.Site).ServeWithoutAuth,
}

// TestSitesRun runs a job with each. Only what depends on the machine is replaced: the
// server, names of accounts, and the paths of programs and directories.
func TestSitesRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it runs jobs as several accounts")
	}
	batch, data := clusters(t, "slurm", "pbs"), sharedDataDir(t)
	s := site.New(t)
	for _, file := range sites(t) {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			var published site.Config
			if _, err := toml.DecodeFile(file, &published); err != nil {
				t.Fatal(err)
			}
			executor, _ := published["general"]["executor"].(string)
			c := batch[executor]
			other := s.NewSibling(t, func(conf site.Config) { settle(conf, published, s, data, c) })
			if serve, ok := deployments[name]; ok {
				if err := errors.Join(serve(other), os.Chown(other.ConfigFile, int(s.Account.UID), int(s.Account.GID))); err != nil {
					t.Fatal(err)
				}
			}
			j := other.Job("id -un", "echo done")
			if executor == "slurm" {
				j = site.WithVariable(j, "SCHEDULER_PARAMETERS", "-n 1")
			}
			r := other.Runner().Run(j)
			if r.Outcome != fakerunner.Success || !strings.Contains(r.Trace, s.Account.Name+"\n") {
				t.Errorf("%s %s:\n%s", r.Outcome, r.Reason, r.Trace)
			}
			c.ran(t, s.Account, executor)
		})
	}
}

// ran fails the test unless a batch system has run the job, as the account. Site's
// variables may refer to those of the login.
func (c *fakeBatch) ran(t *testing.T, a site.Account, executor string) {
	t.Helper()
	if c == nil {
		return
	}
	jobs, err := c.store.Jobs()
	if err != nil || len(jobs) != c.seen+1 || jobs[c.seen].UID != int(a.UID) {
		t.Fatalf("%d jobs after %d, %v, want one more, as %s", len(jobs), c.seen, err, a.Name)
	}
	env := jobs[c.seen].Env
	c.seen++
	for _, pair := range env {
		if strings.Contains(pair, "$") {
			t.Errorf("%s has %q, literally", executor, pair)
		}
		if path, ok := strings.CutPrefix(pair, "PATH="); ok && !strings.Contains(":"+path+":", ":/usr/bin:") {
			t.Errorf("%s has the path %q, without that of the login", executor, path)
		}
	}
}

// settle adapts a published configuration to this machine: c is one that works here.
func settle(c, published site.Config, s *site.Site, data string, p *fakeBatch) {
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
		c.Set("general", "data_dir", data)
	}
	names := map[string]string{"user_allowlist": s.Account.Name, "groups_allowlist": s.Account.Name}
	for key, name := range names {
		if c["auth"][key] != nil {
			c.Set("auth", key, []string{name})
		}
	}
	c["auth"]["logging"] = map[string]any{"enabled": false}
	if p != nil {
		env, _ := c["batch"]["env_vars"].([]any)
		c.Set("batch", "env_vars", append([]any{p.store.Env()}, env...))
		c.Set("batch", "scheduler_bin", p.bin)
		c.Set("batch", "command_delay", "2s")
		c.Set("batch", "nfs_timeout", "10s")
	}
}

// fakeBatch is a batch system of fakes that every account can use.
type fakeBatch struct {
	store fakeschedulers.Store
	bin   string
	seen  int // jobs that have been checked
}

func clusters(t *testing.T, kinds ...string) map[string]*fakeBatch {
	t.Helper()
	all := map[string]*fakeBatch{}
	for _, kind := range kinds {
		dir, err := os.MkdirTemp("/srv", "jacamar-sites-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		store, err := fakeschedulers.Create(filepath.Join(dir, "state"), kind)
		if err != nil {
			t.Fatal(err)
		}
		bin := filepath.Join(dir, "bin")
		if err := errors.Join(fakeschedulers.Install(bin, kind), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		t.Cleanup(stop)
		go store.Serve(ctx, filepath.Join(bin, fakeschedulers.Program))
		all[kind] = &fakeBatch{store: store, bin: bin}
	}
	return all
}

// sharedDataDir is a data_dir that all accounts can write, as /tmp is.
func sharedDataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/srv", "jacamar-data-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}
