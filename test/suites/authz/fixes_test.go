package authz

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// commands are what an administrator is to type by a fix: behind "run: " or "make it: ",
// up to the words that follow.
func commands(fix string, account string) (all []string) {
	for _, part := range strings.Split(fix, "; ") {
		for _, begin := range []string{"run: ", "make it: ", "for each account: "} {
			if _, command, found := strings.Cut(part, begin); found {
				command, _, _ = strings.Cut(command, ", or ")
				all = append(all, strings.ReplaceAll(command, "ACCOUNT", account))
			}
		}
	}
	return all
}

// writes are the keys that an administrator is to write by a fix, with their tables.
var writes = regexp.MustCompile(`write (\w+) = (\S+) under \[(\w+)\]`)

// apply executes a fix.
func apply(t *testing.T, s *site.Site, fix string) {
	t.Helper()
	done := false
	for _, command := range commands(fix, s.Account.Name) {
		done = true
		if out, err := exec.Command("bash", "-c", command).CombinedOutput(); err != nil && !strings.Contains(command, "jacamar-admin init") {
			t.Errorf("%q: %v: %s", command, err, out)
		}
	}
	if m := writes.FindStringSubmatch(fix); m != nil {
		done = true
		testutil.Must(t, rewrite(s.ConfigFile, m[3], m[1], m[2]))
	}
	if !done {
		t.Errorf("nothing can be executed in %q", fix)
	}
}

// rewrite sets a key of a table of the file.
func rewrite(file, table, key, value string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var out []string
	in := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "[") {
			in = strings.Trim(line, "[]")
		}
		if in == table && strings.HasPrefix(strings.TrimSpace(line), key+" ") {
			continue
		}
		out = append(out, line)
		if line == "["+table+"]" {
			out = append(out, key+" = "+value)
		}
	}
	return os.WriteFile(file, []byte(strings.Join(out, "\n")+"\n"), 0o644)
}

// findings runs check with a job of its own, and returns what is not well.
func findings(t *testing.T, s *site.Site, args ...string) []finding {
	t.Helper()
	out, _ := admin(t, append([]string{s.Admin, "check", "--json", "--configuration", s.ConfigFile}, args...)...)
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return slices.DeleteFunc(r.Lines, func(l finding) bool { return l.Result == "ok" || l.Result == "skip" })
}

// TestFixes executes each fix that check prints, in the situation for which it prints it:
// the finding is gone, nothing else is worse, and a job of the account runs.
func TestFixes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it changes files of other owners")
	}
	file := func(t *testing.T, s *site.Site, name, text string, mode os.FileMode, uid int) string {
		path := filepath.Join(s.Dir, name)
		testutil.Must(t, os.WriteFile(path, []byte(text), 0o600))
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
	for name, tc := range map[string]struct {
		check string
		spoil func(*testing.T, *site.Site) []string
	}{
		"configuration of all": {"configuration", func(t *testing.T, s *site.Site) []string { testutil.Must(t, os.Chmod(s.ConfigFile, 0o666)); return nil }},
		"configuration of another": {"configuration", func(t *testing.T, s *site.Site) []string {
			testutil.Must(t, os.Chown(s.ConfigFile, 4242, 0))
			return nil
		}},
		"its directory":          {"configuration", func(t *testing.T, s *site.Site) []string { testutil.Must(t, os.Chmod(s.Dir, 0o777)); return nil }},
		"jacamar for root":       {"jacamar", func(t *testing.T, s *site.Site) []string { program(t, s, 0o700); return nil }},
		"jacamar not executable": {"jacamar", func(t *testing.T, s *site.Site) []string { program(t, s, 0o600); return nil }},
		"jacamar readable":       {"jacamar", func(t *testing.T, s *site.Site) []string { program(t, s, 0o755); return nil }},
		"jacamar of its group":   {"jacamar", func(t *testing.T, s *site.Site) []string { program(t, s, 0o731); return nil }},
		"its directory for a group": {"jacamar", func(t *testing.T, s *site.Site) []string {
			program(t, s, 0o711)
			dir(t, s, "programs", 0o775)
			return nil
		}},
		"its directory closed": {"jacamar", func(t *testing.T, s *site.Site) []string {
			program(t, s, 0o711)
			dir(t, s, "programs", 0o700)
			return nil
		}},
		"CA file of all": {"CA file", func(t *testing.T, s *site.Site) []string {
			text, err := os.ReadFile(s.GitLab.CAFile)
			testutil.Must(t, err)
			set(t, s, "general", "tls-ca-file", file(t, s, "ca.pem", string(text), 0o646, 4242))
			return nil
		}},
		"script of all": {"RunAs", func(t *testing.T, s *site.Site) []string {
			set(t, s, "auth", "runas", site.Table{"validation_script": file(t, s, "validate", "#!/bin/sh\nexit 0\n", 0o722, 0)})
			return nil
		}},
		"no data directory": {"data directory", func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "data_dir", filepath.Join(s.Dir, "missing/ci"))
			return nil
		}},
		"a data directory for all": {"data directory", func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "data_dir", dir(t, s, "data", os.ModeSticky|0o777))
			return nil
		}},
		"closed above it": {"data directory", func(t *testing.T, s *site.Site) []string {
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
		"state of another": {"state directory", func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "state_dir", dir(t, s, "state", 0o700))
			testutil.Must(t, os.Chown(s.Dir+"/state", 4242, 0))
			return nil
		}},
		"state for a group": {"state directory", func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "state_dir", dir(t, s, "state", 0o770))
			return nil
		}},
		"log that all read":  {"log", func(t *testing.T, s *site.Site) []string { file(t, s, "operator.log", "", 0o644, 0); return nil }},
		"log that all write": {"log", func(t *testing.T, s *site.Site) []string { file(t, s, "operator.log", "", 0o622, 0); return nil }},
		"another issuer": {"key server", func(t *testing.T, s *site.Site) []string {
			set(t, s, "general", "jwt_issuer", "https://gitlab.example.com")
			return nil
		}},
		"the runner's token": {"runner", func(t *testing.T, s *site.Site) []string { return runner(t, s, "", "", 0o604) }},
		"the shell executor": {"runner", func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `executor = "custom"`, `executor = "shell"`, 0o600)
		}},
		"a stage is missing": {"runner", func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `    prepare_args = ["prepare"]`, ``, 0o600)
		}},
		"no configuration": {"runner", func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `    cleanup_args = ["cleanup",`, `    cleanup_args = ["clean",`, 0o600)
		}},
		"an unknown program": {"runner", func(t *testing.T, s *site.Site) []string {
			return runner(t, s, `run_exec = "AUTH`, `run_exec = "/usr/bin/jacamar-auth`, 0o600)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSibling(t)
			args := tc.spoil(t, s)
			before := findings(t, s, args...)
			i := slices.IndexFunc(before, func(l finding) bool { return l.Check == tc.check })
			if i < 0 {
				t.Fatalf("it is not found: %+v", before)
			}
			for _, l := range before {
				if l.Check == tc.check {
					apply(t, s, l.Fix)
				}
			}
			known := func(l finding) bool {
				return slices.ContainsFunc(before, func(was finding) bool { return was.Text == l.Text && was.Check != tc.check })
			}
			for _, l := range findings(t, s, append(args, "--account", s.Account.Name)...) {
				if !known(l) {
					t.Errorf("after the fix %q: %+v", before[i].Fix, l)
				}
			}
		})
	}
}

// runnerFile is a config.toml that calls the site's jacamar-auth, in which a text is
// replaced by another; AUTH and FILE in them are its path and the configuration's.
func runnerFile(t *testing.T, s *site.Site, from, to string, mode os.FileMode) string {
	t.Helper()
	call := func(stage string, args ...string) string {
		list, err := json.Marshal(append([]string{stage}, args...))
		testutil.Must(t, err)
		return fmt.Sprintf("    %s_exec = \"AUTH\"\n    %[1]s_args = %s\n", stage, list)
	}
	text := "shutdown_timeout = 150\n[[runners]]\n  name = \"hpc\"\n  executor = \"custom\"\n  [runners.custom]\n" +
		call("config", "--configuration", "FILE") + call("prepare") + call("run") + call("cleanup", "--configuration", "FILE")
	if !strings.Contains(text, from) {
		t.Fatalf("%q is not in %s", from, text)
	}
	text = strings.NewReplacer("AUTH", s.Auth, "FILE", s.ConfigFile).Replace(strings.Replace(text, from, to, 1))
	path := filepath.Join(s.Dir, "config.toml")
	testutil.Must(t, os.WriteFile(path, []byte(text), 0o600))
	testutil.Must(t, os.Chmod(path, mode))
	return path
}

// prepared makes the directories of the jobs' account: the trials of the cases would each
// make and remove them, under the others.
func prepared(t *testing.T) {
	t.Helper()
	a := common(t).Account
	for _, name := range []string{"", "builds", "scripts", "cache"} {
		path := filepath.Join(a.Home, ".jacamar-ci", name)
		if err := os.Mkdir(path, 0o700); err == nil {
			testutil.Must(t, os.Chown(path, int(a.UID), int(a.GID)))
		}
	}
}
