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

// The keys that an administrator is to write by a fix: with their tables, in the line of the
// fault, and in the runner's config.toml.
var (
	writes = regexp.MustCompile(`write (\w+) = (\S+) under \[(\w+)\]`)
	sets   = regexp.MustCompile(`set ([a-z.]+)\.(\w+) = (\S+)`)
	inLine = regexp.MustCompile(`: write (\w+) = (.+)$`)
	inFile = regexp.MustCompile(`^set (\w+) = (\d+)`)
)

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
	if m := sets.FindStringSubmatch(fix); m != nil {
		done = true
		testutil.Must(t, rewrite(s.ConfigFile, m[1], m[2], m[3]))
	}
	if m := inLine.FindStringSubmatch(fix); m != nil {
		done = true
		testutil.Must(t, replaceLine(s.ConfigFile, m[1], m[2]))
	}
	if m := inFile.FindStringSubmatch(fix); m != nil {
		done = true
		testutil.Must(t, replaceLine(filepath.Join(s.Dir, "config.toml"), m[1], m[2]))
	}
	if !done {
		t.Errorf("nothing can be executed in %q", fix)
	}
}

// replaceLine replaces the value of a key in the line that has it.
func replaceLine(file, key, value string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	line := regexp.MustCompile(`(?m)^(\s*` + key + `) = .*$`)
	if !line.Match(text) {
		return fmt.Errorf("%s has no %s", file, key)
	}
	return os.WriteFile(file, line.ReplaceAll(text, []byte("${1} = "+value)), 0o644)
}

// rewrite sets a key of a table of the file, which it adds where it is missing.
func rewrite(file, table, key, value string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), "["+table+"]\n") {
		text = append(text, "["+table+"]\n"...)
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
	return slices.DeleteFunc(r.Lines, func(l finding) bool { return l.Result == "ok" || l.Result == "skip" || ofLoad(l) })
}

// ofLoad reports a finding of a machine that is busy with other tests: the name service was
// slow, or a program took longer to print its version than check waits.
func ofLoad(l finding) bool {
	return l.Check == "name service" && strings.Contains(l.Text, " took ") || strings.Contains(l.Text, "--version: timed out")
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
