package authz

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// situation is a fault that check finds, and for which it prints a fix.
type situation struct {
	check string
	// spoil makes the fault, and returns arguments of check.
	spoil func(*testing.T, *site.Site) []string
	// advice is the fix where it has no command, and by does it.
	advice string
	by     func(*testing.T, *site.Site)
	// untried: a job cannot run here after the fix either.
	untried bool
}

// TestFixes executes each fix that check prints, in the situation for which it prints it:
// the finding is gone, nothing else is worse, and a job of the account runs.
func TestFixes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it changes files of other owners")
	}
	file := func(t *testing.T, s *site.Site, name, text string, mode os.FileMode, uid int) string {
		path := filepath.Join(s.Dir, name)
		testutil.Must(t, testutil.WriteProgram(path, []byte(text), 0o600))
		testutil.Must(t, os.Chmod(path, mode), os.Chown(path, uid, 0))
		return path
	}
	dir := func(t *testing.T, s *site.Site, name string, mode os.FileMode) string {
		path := filepath.Join(s.Dir, name)
		testutil.Must(t, os.MkdirAll(path, 0o755))
		testutil.Must(t, os.Chmod(path, mode))
		return path
	}
	set := func(t *testing.T, s *site.Site, table, key string, value any) {
		testutil.Must(t, s.Reconfigure(func(c site.Config) {
			c.Set("auth", "logging", logging(s))
			c.Set(table, key, value)
		}))
	}
	program := func(t *testing.T, s *site.Site, mode os.FileMode) {
		own := filepath.Join(dir(t, s, "programs", 0o755), "jacamar")
		testutil.Must(t, exec.Command("cp", s.Jacamar, own).Run(), os.Chmod(own, mode))
		set(t, s, "auth", "jacamar_path", own)
	}
	runner := func(t *testing.T, s *site.Site, from, to string, mode os.FileMode) []string {
		return []string{"--runner-config", runnerFile(t, s, from, to, mode)}
	}
	prepared(t)
	all := map[string]situation{
		"configuration of all": {check: "configuration", spoil: func(t *testing.T, s *site.Site) []string { testutil.Must(t, os.Chmod(s.ConfigFile, 0o666)); return nil }},
		"configuration of another": {check: "configuration", spoil: func(t *testing.T, s *site.Site) []string {
			testutil.Must(t, os.Chown(s.ConfigFile, 4242, 0))
			return nil
		}},
		"its directory":          {check: "configuration", spoil: func(t *testing.T, s *site.Site) []string { testutil.Must(t, os.Chmod(s.Dir, 0o777)); return nil }},
		"jacamar for root":       {check: "jacamar", spoil: func(t *testing.T, s *site.Site) []string { program(t, s, 0o700); return nil }},
		"jacamar not executable": {check: "jacamar", spoil: func(t *testing.T, s *site.Site) []string { program(t, s, 0o600); return nil }},
		"jacamar readable":       {check: "jacamar", spoil: func(t *testing.T, s *site.Site) []string { program(t, s, 0o755); return nil }},
		"jacamar of its group":   {check: "jacamar", spoil: func(t *testing.T, s *site.Site) []string { program(t, s, 0o731); return nil }},
		"its directory for a group": {check: "jacamar", spoil: func(t *testing.T, s *site.Site) []string {
			program(t, s, 0o711)
			dir(t, s, "programs", 0o775)
			return nil
		}},
		"its directory closed": {check: "jacamar", spoil: func(t *testing.T, s *site.Site) []string {
			program(t, s, 0o711)
			dir(t, s, "programs", 0o700)
			return nil
		}},
		"CA file of all": {check: "CA file", spoil: func(t *testing.T, s *site.Site) []string {
			text, err := os.ReadFile(s.GitLab.CAFile)
			testutil.Must(t, err)
			set(t, s, "general", "tls-ca-file", file(t, s, "ca.pem", string(text), 0o646, 4242))
			return nil
		}},
		"script of all": {check: "RunAs", spoil: func(t *testing.T, s *site.Site) []string {
			set(t, s, "auth", "runas", site.Table{"validation_script": file(t, s, "validate", "#!/bin/sh\nexit 0\n", 0o722, 0)})
			return nil
		}},
		"no data directory": {check: "data directory", spoil: func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "data_dir", filepath.Join(s.Dir, "missing/ci"))
			return nil
		}},
		"a data directory for all": {check: "data directory", spoil: func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "data_dir", dir(t, s, "data", os.ModeSticky|0o777))
			return nil
		}},
		"closed above it": {check: "data directory", spoil: func(t *testing.T, s *site.Site) []string {
			data := dir(t, s, "scratch/ci", 0o755)
			testutil.Must(t, os.Mkdir(data+"/"+s.Account.Name, 0o700), os.Chown(data+"/"+s.Account.Name, int(s.Account.UID), int(s.Account.GID)))
			testutil.Must(t, s.Reconfigure(func(c site.Config) {
				c.Set("auth", "logging", logging(s))
				c.Set("general", "data_dir", data)
				c.Set("auth", "root_dir_creation", true)
			}))
			dir(t, s, "scratch", 0o700)
			return nil
		}},
		"state of another": {check: "state directory", spoil: func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "state_dir", dir(t, s, "state", 0o700))
			testutil.Must(t, os.Chown(s.Dir+"/state", 4242, 0))
			return nil
		}},
		"state for a group": {check: "state directory", spoil: func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "state_dir", dir(t, s, "state", 0o770))
			return nil
		}},
		"log that all read":  {check: "log", spoil: func(t *testing.T, s *site.Site) []string { file(t, s, "operator.log", "", 0o644, 0); return nil }},
		"log that all write": {check: "log", spoil: func(t *testing.T, s *site.Site) []string { file(t, s, "operator.log", "", 0o622, 0); return nil }},
		"another issuer": {check: "key server", spoil: func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "jwt_issuer", "https://gitlab.example.com")
			return nil
		}},
		"the runner's token": {check: "runner", spoil: func(t *testing.T, s *site.Site) []string { return runner(t, s, "", "", 0o604) }},
		"the shell executor": {check: "runner", spoil: func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `executor = "custom"`, `executor = "shell"`, 0o600)
		}},
		"a stage is missing": {check: "runner", spoil: func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `    prepare_args = ["prepare"]`, ``, 0o600)
		}},
		"no configuration": {check: "runner", spoil: func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `    cleanup_args = ["cleanup",`, `    cleanup_args = ["clean",`, 0o600)
		}},
		"an unknown program": {check: "runner", spoil: func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `run_exec = "AUTH`, `run_exec = "/usr/bin/jacamar-auth`, 0o600)
		}},
	}
	maps.Copy(all, valueSituations())
	maps.Copy(all, placeSituations())
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			args := tc.spoil(t, s)
			before := findings(t, s, args...)
			i := slices.IndexFunc(before, func(l finding) bool { return l.Check == tc.check })
			if i < 0 {
				t.Fatalf("it is not found: %+v", before)
			}
			tc.fix(t, s, before)
			known := func(l finding) bool {
				return slices.ContainsFunc(before, func(was finding) bool { return was.Text == l.Text && was.Check != tc.check })
			}
			// A job takes longest; in short mode one of three situations has one.
			if !tc.untried && (!testing.Short() || len(name)%3 == 0) {
				args = append(args, "--account", s.Account.Name)
			}
			for _, l := range findings(t, s, args...) {
				if !known(l) {
					t.Errorf("after the fix %q: %+v", before[i].Fix, l)
				}
			}
		})
	}
}

// fix does what the findings of the situation advise.
func (tc situation) fix(t *testing.T, s *site.Site, all []finding) {
	t.Helper()
	done := tc.advice == ""
	for _, l := range all {
		switch {
		case l.Check != tc.check:
		case tc.advice != "" && strings.Contains(l.Fix, tc.advice):
			tc.by(t, s)
			done = true
		default:
			apply(t, s, l.Fix)
		}
	}
	if !done {
		t.Errorf("no fix has %q: %+v", tc.advice, all)
	}
}
