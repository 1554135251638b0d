package authz

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// mistake is something that an administrator or a job's author gets wrong, and what each
// of them learns of it.
type mistake struct {
	name string
	// change is in the configuration, spoil in the files afterwards, and job and runner
	// replace those of the site.
	change func(*site.Site, site.Config)
	spoil  func(*testing.T, *site.Site)
	job    func(*site.Site) fakerunner.Job
	runner func(*site.Site, *fakerunner.Runner)

	// outcome and texts are what the runner reports, and what is in the job's log.
	outcome fakerunner.Outcome
	texts   []string
	// record is in the reason of a record of a failure or warning; "" where the
	// configuration, and with it the location of the log, cannot be read.
	record string
	// fix means that the record or the job's log has a command, after which the job
	// succeeds.
	fix bool
}

const (
	success = fakerunner.Success
	build   = fakerunner.ScriptFailure
	system  = fakerunner.SystemFailure
)

// general sets keys of that table.
func general(pairs ...any) func(*site.Site, site.Config) {
	return func(_ *site.Site, c site.Config) {
		for i := 0; i < len(pairs); i += 2 {
			c.Set("general", pairs[i].(string), pairs[i+1])
		}
	}
}

// written replaces the text of the configuration.
func written(change func(text string) string) func(*testing.T, *site.Site) {
	return func(t *testing.T, s *site.Site) {
		t.Helper()
		text, err := os.ReadFile(s.ConfigFile)
		testutil.Must(t, err)
		testutil.Must(t, os.WriteFile(s.ConfigFile, []byte(change(string(text))), 0o644))
	}
}

// dataDir sets data_dir to a path in the site's directory.
func dataDir(path string) func(*site.Site, site.Config) {
	return func(s *site.Site, c site.Config) { c.Set("general", "data_dir", filepath.Join(s.Dir, path)) }
}

// removed removes a file of the site.
func removed(path string) func(*testing.T, *site.Site) {
	return func(t *testing.T, s *site.Site) { testutil.Must(t, os.Remove(filepath.Join(s.Dir, path))) }
}

// programs is a copy of jacamar in a directory of the site.
func programs(s *site.Site) string { return filepath.Join(s.Dir, "programs", "jacamar") }

// copied makes the site use that copy, after a change to it.
func copied(spoil func(t *testing.T, path string)) (func(*site.Site, site.Config), func(*testing.T, *site.Site)) {
	change := func(s *site.Site, c site.Config) { c.Set("auth", "jacamar_path", programs(s)) }
	return change, func(t *testing.T, s *site.Site) {
		t.Helper()
		text, err := os.ReadFile(s.Jacamar)
		testutil.Must(t, err)
		testutil.Must(t, os.MkdirAll(filepath.Dir(programs(s)), 0o755))
		testutil.Must(t, os.WriteFile(programs(s), text, 0o711))
		spoil(t, programs(s))
	}
}

func programMistake(name, record string, fix bool, spoil func(t *testing.T, path string)) mistake {
	m := mistake{name: name, outcome: system, texts: []string{misconfigured}, record: record, fix: fix}
	m.change, m.spoil = copied(spoil)
	return m
}

func configMistake(name, old, replacement string) mistake {
	return mistake{
		name: name, outcome: system, texts: []string{misconfigured, "ask its administrators, quoting job "},
		spoil: written(func(text string) string {
			if !strings.Contains(text, old) {
				panic(old + " is not in the configuration")
			}
			return strings.Replace(text, old, replacement, 1)
		}),
	}
}

func keyMistake(name string, change func(*site.Site, site.Config)) mistake {
	return mistake{name: name, change: change, outcome: system, texts: []string{misconfigured}}
}

func custom(dir string) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		return site.WithVariable(s.Job("id -un"), "CUSTOM_CI_BUILDS_DIR", strings.ReplaceAll(dir, "LOGIN", s.Account.Name))
	}
}

// configurationMistakes are faults of the file itself.
func configurationMistakes() []mistake {
	return []mistake{
		configMistake("misspelt key", "gitlab_server", "gitlab_sever"),
		configMistake("key in the wrong table", "[auth]", "[auth]\nexecutor = \"shell\""),
		configMistake("no value", `executor = "shell"`, `executor =`),
		configMistake("smart quotes", `"shell"`, `“shell”`),
		configMistake("unquoted $HOME", `"$HOME"`, `$HOME`),
		configMistake("a number for a time", `kill_timeout = "5s"`, `kill_timeout = 120`),
		configMistake("a time without a unit", `"5s"`, `"120"`),
		configMistake("a time with a blank", `"5s"`, `"2 min"`),
		configMistake("a time in days", `"5s"`, `"2d"`),
		configMistake("the same table twice", "[general]", "[general]\n[general]"),
		configMistake("the same key twice", `executor = "shell"`, "executor = \"shell\"\nexecutor = \"shell\""),
		configMistake("unknown executor", `"shell"`, `"Shell"`),
		configMistake("executor of another project", `"shell"`, `"pjm"`),
		configMistake("unknown downscope", `"setuid"`, `"su"`),
		{name: "empty file", spoil: written(func(string) string { return "" }), outcome: system, texts: []string{misconfigured}},
		{name: "byte order mark", spoil: written(func(text string) string { return "\xef\xbb\xbf" + text }), outcome: success},
		{name: "CRLF", spoil: written(func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }), outcome: success},
		{name: "readable by all", spoil: func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(s.ConfigFile, 0o644)) }, outcome: success},
		{name: "writable by the group", spoil: func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(s.ConfigFile, 0o664)) }, outcome: system, texts: []string{misconfigured}},
		{name: "of another account", spoil: func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.Chown(s.ConfigFile, int(s.Account.UID), -1))
		}, outcome: system, texts: []string{misconfigured}},
		{name: "directory writable by all", spoil: func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(s.Dir, 0o777)) }, outcome: system, texts: []string{misconfigured}},
		keyMistake("text for a boolean", auth("no_new_privs", "true")),
		keyMistake("text for a list", auth("user_allowlist", "a")),
		keyMistake("text for a number", auth("min_uid", "1000")),
		keyMistake("min_uid 0", auth("min_uid", 0)),
		keyMistake("runner_ids as text", auth("runner_ids", names{"5"})),
		keyMistake("a relative data_dir", general("data_dir", "ci")),
		keyMistake("another's home as data_dir", general("data_dir", "~root/ci")),
		keyMistake("a server without a scheme", general("gitlab_server", "gitlab.example.com")),
		keyMistake("a server over http", general("gitlab_server", "http://gitlab.example.com")),
		keyMistake("a user in the server's address", general("gitlab_server", "https://me@gitlab.example.com")),
		keyMistake("seccomp without no_new_privs", auth("seccomp", site.Table{"block_all": true, "allow_calls": names{"read"}})),
		keyMistake("limits too low for jacamar", auth("limits", site.Table{"as": "1MiB"})),
	}
}

// installationMistakes are faults of files that a correct configuration names.
func installationMistakes() []mistake {
	all := []mistake{
		programMistake("jacamar is missing", "is missing: install all programs from one package", false, func(t *testing.T, p string) { testutil.Must(t, os.Remove(p)) }),
		programMistake("jacamar with mode 0700", "has mode 0700: install the programs where every account may enter", true, func(t *testing.T, p string) { testutil.Must(t, os.Chmod(p, 0o700)) }),
		programMistake("jacamar in a directory with mode 0700", "has mode 0700: install the programs where every account may enter", true, func(t *testing.T, p string) {
			testutil.Must(t, os.Chmod(filepath.Dir(p), 0o700))
		}),
		programMistake("jacamar writable by the group", "is writable by group", true, func(t *testing.T, p string) { testutil.Must(t, os.Chmod(p, 0o775)) }),
		programMistake("its directory writable by all", "is writable by", true, func(t *testing.T, p string) { testutil.Must(t, os.Chmod(filepath.Dir(p), 0o777)) }),
		programMistake("jacamar is a directory", "jacamar", false, func(t *testing.T, p string) {
			testutil.Must(t, os.Remove(p), os.Mkdir(p, 0o755))
		}),
		programMistake("jacamar is no program", "exec format error: install the package for this machine", false, func(t *testing.T, p string) {
			testutil.Must(t, os.WriteFile(p, []byte("echo\n"), 0o711))
		}),
		{name: "account map is missing", change: mapped("7 x\n"), spoil: removed("accounts"), outcome: system, texts: []string{misconfigured}, record: "account map"},
		{name: "a line of the account map", change: mapped("x"), outcome: system, texts: []string{misconfigured}, record: "cannot use the account map"},
		{name: "data_dir is missing", change: dataDir("scratch/ci"), outcome: system,
			texts: []string{"cannot create ", "no such file or directory", "its parent directory must exist"}, record: "no such file"},
		{name: "data_dir is a file", change: dataDir("file"), spoil: func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.WriteFile(filepath.Join(s.Dir, "file"), nil, 0o644))
		}, outcome: system, texts: []string{"file is not a directory", "rename /"}, record: "not a directory"},
		{name: "data_dir below a closed directory", change: dataDir("closed/ci"), spoil: func(t *testing.T, s *site.Site) {
			closed := filepath.Join(s.Dir, "closed")
			testutil.Must(t, os.MkdirAll(filepath.Join(closed, "ci"), 0o755))
			testutil.Must(t, os.Chmod(closed, 0o700))
		}, outcome: system, texts: []string{"permission denied", "check its owner and mode"}, record: "permission denied"},
		{name: "home as ~", change: general("data_dir", "~"), outcome: success},
		{name: "home as ${HOME}", change: general("data_dir", "${HOME}"), outcome: success},
		{name: "a variable that no shell sets", change: general("data_dir", "$JCI_NO_SUCH/ci", "variable_data_dir", true), outcome: system,
			texts: []string{"your login shell does not set JCI_NO_SUCH", "check what `bash --login -c 'echo $JCI_NO_SUCH'` prints"}, record: "does not set JCI_NO_SUCH"},
		{name: "the log's directory is missing", change: func(s *site.Site, c site.Config) {
			c.Set("auth", "logging", site.Table{"enabled": true, "location": filepath.Join(s.Dir, "missing/log")})
		}, runner: func(_ *site.Site, r *fakerunner.Runner) { r.Judge = nil }, outcome: success, texts: []string{"WARNING: cannot write the operator's log (administrators: see jacamar-admin check)"}},
		{name: "script of RunAs is missing", change: validated("true"), spoil: func(t *testing.T, s *site.Site) { testutil.Must(t, os.Remove(scriptFile(s))) }, outcome: system, texts: []string{misconfigured}, record: "cannot open"},
		{name: "script of RunAs is not executable", change: validated("true"), spoil: func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(scriptFile(s), 0o600)) }, outcome: system, texts: []string{misconfigured}, record: "run"},
		{name: "script of RunAs without an interpreter", change: validated("true"), spoil: func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.WriteFile(scriptFile(s), []byte("true\n"), 0o700))
		}, outcome: system, texts: []string{misconfigured}, record: "exec format error"},
	}
	return all
}

// runnerMistakes are faults of the runner's config.toml.
func runnerMistakes() []mistake {
	return []mistake{
		{name: "config without --configuration", runner: func(s *site.Site, r *fakerunner.Runner) { r.Custom.Config = []string{s.Auth, "config"} }, outcome: system, texts: []string{misconfigured}},
		{name: "--configuration before config", runner: func(s *site.Site, r *fakerunner.Runner) {
			r.Custom.Config = []string{s.Auth, "--configuration", s.ConfigFile, "config"}
		}, outcome: system, texts: []string{misconfigured}},
		{name: "all arguments in one", runner: func(s *site.Site, r *fakerunner.Runner) {
			r.Custom.Config = []string{s.Auth, "config --configuration " + s.ConfigFile}
		}, outcome: system, texts: []string{misconfigured}},
		{name: "an unknown option in prepare", runner: func(s *site.Site, r *fakerunner.Runner) { r.Custom.Prepare = []string{s.Auth, "prepare", "-x"} }, outcome: system, texts: []string{misconfigured}},
		{name: "jacamar instead of jacamar-auth", runner: func(s *site.Site, r *fakerunner.Runner) {
			r.Custom.Config = []string{s.Jacamar, "config", "--configuration", s.ConfigFile}
			r.Custom.Cleanup = nil
		}, outcome: system, texts: []string{"jacamar: needs one argument: jacamar-auth starts it, so GitLab Runner has to call jacamar-auth"}},
		{name: "cleanup without --configuration", runner: func(s *site.Site, r *fakerunner.Runner) { r.Custom.Cleanup = []string{s.Auth, "cleanup"} }, outcome: success},
	}
}

// authorMistakes are those of a job's author.
func authorMistakes() []mistake {
	chosen := general("custom_build_dir", true)
	variable := func(name, value string) func(*site.Site) fakerunner.Job {
		return func(s *site.Site) fakerunner.Job { return site.WithVariable(s.Job("id -un"), name, value) }
	}
	return []mistake{
		{name: "no mistake", outcome: success, texts: []string{"jacamar: Running as ", "the script ended: exit code 0", "node: ", "ran: ", "CPU time: ", "peak memory of a process: "}},
		{name: "exit 7", job: func(s *site.Site) fakerunner.Job { return s.Job("exit 7") }, outcome: build, texts: []string{"the script ended: exit code 7", "jacamar: ERROR: the job's script ended with exit code 7"}, record: "exit code 7"},
		{name: "no token", job: func(s *site.Site) fakerunner.Job { return site.WithToken(s.Job("true"), "") }, outcome: build,
			texts: []string{"ERROR: the job has no id_token SITE_ID_TOKEN", "write in the job in .gitlab-ci.yml:", "    id_tokens:\n      SITE_ID_TOKEN:\n        aud: \"https://127.0.0.1:"}, record: "no id_token"},
		{name: "wrong aud", job: with("aud", "https://vault.example"), outcome: build,
			texts: []string{`the aud "https://vault.example", and this resource expects "https://127.0.0.1:`, "    id_tokens:\n      SITE_ID_TOKEN:\n        aud: \"https://127.0.0.1:"}, record: "https://vault.example"},
		{name: "aud of the server where the site has its own", change: general("jwt_required_aud", "https://hpc.example"), outcome: build, texts: []string{`expects "https://hpc.example"`, "        aud: \"https://hpc.example\""}, record: "want"},
		{name: "aud with a slash at the end", job: func(s *site.Site) fakerunner.Job { return with("aud", s.GitLab.URL+"/")(s) }, outcome: build, texts: []string{"/\", and this resource expects"}, record: "want"},
		{name: "text instead of a token", job: respelled(func(string) string { return "please" }), outcome: build, texts: []string{refused}, record: "three parts"},
		{name: "no account of that name", job: func(s *site.Site) fakerunner.Job {
			return caused(s, gitlab.User{ID: s.User.ID, Login: "jci-no-such", Email: "x@example.org"})
		}, outcome: system, texts: []string{"there is no account jci-no-such on this machine", "ask its administrators for one"}, record: "jci-no-such"},
		{name: "blocked", change: func(s *site.Site, c site.Config) { c.Set("auth", "user_blocklist", names{s.Account.Name}) }, outcome: build, texts: []string{refused, "quoting job "}, record: "user_blocklist"},
		{name: "an allowlist that is empty", change: auth("user_allowlist", names{}), outcome: build, texts: []string{refused}, record: "no_allowlist_match"},
		{name: "below min_uid", change: auth("min_uid", 2_000_000_000), outcome: build, texts: []string{refused}, record: "min_uid"},
		{name: "another project", change: auth("project_allowlist", names{"hpc/**"}), outcome: build, texts: []string{refused}, record: "matches no entry"},
		{name: "a regular expression for a project", change: auth("project_allowlist", names{"^group/.*$"}), outcome: build, texts: []string{refused}, record: "matches no entry"},
		{name: "another source of pipelines", change: auth("pipeline_source_allowlist", names{"schedule"}), outcome: build, texts: []string{refused}, record: "pipeline_source"},
		{name: "a variable that is too long", change: auth("max_env_chars", 100), job: variable("LONG", strings.Repeat("x", 4000)), outcome: build, texts: []string{"ERROR: the CI variable ", "bytes long; this resource accepts 100"}, record: "bytes long"},
		{name: "image", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			j.Image = "python:3.12"
			return j
		}, outcome: success, texts: []string{"jacamar: WARNING: image: has no effect on this resource"}},
		{name: "CUSTOM_CI_BUILDS_DIR where it is not allowed", job: custom("/tmp/LOGIN"), outcome: success, texts: []string{"WARNING: CUSTOM_CI_BUILDS_DIR has no effect on this resource"}},
		{name: "CUSTOM_CI_BUILDS_DIR empty", change: chosen, job: custom(""), outcome: success},
		{name: "CUSTOM_CI_BUILDS_DIR relative", change: chosen, job: custom("ci"), outcome: build, texts: []string{`the path "ci" is not absolute`, "or ~/ with a path in your home"}, record: "not absolute"},
		{name: "CUSTOM_CI_BUILDS_DIR with ..", change: chosen, job: custom("/tmp/../etc"), outcome: build, texts: []string{`has a ".." in it`, "without .. in it"}, record: ".."},
		{name: "CUSTOM_CI_BUILDS_DIR /etc", change: chosen, job: custom("/etc"), outcome: build, texts: []string{"owned by root, not by you", "write a directory of your own in CUSTOM_CI_BUILDS_DIR, such as ~/ci"}, record: "owned by root"},
		{name: "CUSTOM_CI_BUILDS_DIR /tmp", change: chosen, job: custom("/tmp"), outcome: build, texts: []string{"owned by root, not by you", "such as /tmp/jci"}, record: "owned by root"},
		{name: "CUSTOM_CI_BUILDS_DIR in another's home", change: chosen, job: custom("/root/ci"), outcome: build, texts: []string{"such as ~/ci"}, record: "CUSTOM_CI_BUILDS_DIR"},
		{name: "CUSTOM_CI_BUILDS_DIR in the home", change: chosen, job: custom("~/ci"), outcome: success},
	}
}

// TestMistakes: each mistake is one failure of the right class, with one line and a hint
// for the user, the reason in the operator's log, nothing internal in the job's log, and
// no second attempt where it cannot help. Fixes are carried out.
func TestMistakes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: some mistakes are of files of other accounts")
	}
	t.Parallel()
	// All faults of a configuration fail in one place.
	first := configurationMistakes()
	if testing.Short() {
		first = first[len(first)/2:]
	}
	for area, all := range map[string][]mistake{
		"configuration": first, "installation": installationMistakes(), "runner": runnerMistakes(), "author": authorMistakes(),
	} {
		for _, m := range all {
			t.Run(area+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				m.try(t)
			})
		}
	}
}

func (m mistake) try(t *testing.T) {
	s := newSibling(t)
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("general", "state_dir", common(t).StateDir)
		c.Set("auth", "logging", logging(s))
		if m.change != nil {
			m.change(s, c)
		}
	}))
	if m.spoil != nil {
		m.spoil(t, s)
	}
	r := m.run(t, s)
	site.Want(t, r, m.outcome, r.ExitCode, m.texts...)
	m.checkLog(t, s, r)
	text := m.recorded(t, s)
	if m.fix {
		carryOut(t, text)
		site.Want(t, m.run(t, s), success, 0)
	}
}

func (m mistake) run(t *testing.T, s *site.Site) fakerunner.Result {
	t.Helper()
	r := s.Runner()
	if m.runner != nil {
		m.runner(s, r)
	}
	j := s.Job("id -un")
	if m.job != nil {
		j = m.job(s)
	}
	return r.Run(j)
}

// checkLog checks the form of the job's log.
func (m mistake) checkLog(t *testing.T, s *site.Site, r fakerunner.Result) {
	t.Helper()
	if n := configs(r); m.outcome == build && n != 1 {
		t.Errorf("the config stage was called %d times", n)
	}
	for _, c := range r.Calls {
		output := append(bytes.Clone(c.Stdout), c.Stderr...)
		if n := bytes.Count(output, []byte("ERROR: ")); n > 1 {
			t.Errorf("%s wrote %d errors:\n%s", c.Stage, n, output)
		}
		if c.Status != 0 && c.Stage != "cleanup" && !bytes.Contains(output, []byte("jacamar: ")) {
			t.Errorf("%s failed without a line: %q", c.Stage, output)
		}
	}
	for _, inside := range []string{s.ConfigFile, "goroutine", "--help", "panic"} {
		if strings.Contains(r.Trace, inside) && !strings.Contains(strings.Join(m.texts, " "), "needs one argument") {
			t.Errorf("the user reads %q:\n%s", inside, r.Trace)
		}
	}
	for line := range strings.Lines(r.Trace) {
		if strings.Contains(line, "ERROR: ") && strings.Contains(line, "jacamar") && strings.Count(line, "?") > 2 {
			t.Errorf("replaced characters in %q", line)
		}
	}
}

// recorded returns the reasons in the operator's log, which have the expected text.
func (m mistake) recorded(t *testing.T, s *site.Site) string {
	t.Helper()
	var reasons []string
	ends := 0
	for _, r := range records(t, s) {
		if r.Event == "job_end" {
			ends++
		}
		if r.Reason != "" && r.Event != "rule" {
			reasons = append(reasons, r.Rule+": "+r.Reason)
		}
	}
	text := strings.Join(reasons, "\n")
	if m.record == "" {
		return text
	}
	if !strings.Contains(text, m.record) {
		t.Errorf("no record has %q:\n%s", m.record, text)
	}
	if want := map[fakerunner.Outcome]int{build: 1, system: 3}[m.outcome]; ends != want {
		t.Errorf("%d records of the end of a job, want %d", ends, want)
	}
	return text
}

// command is a fix that a shell can carry out.
var command = regexp.MustCompile(`run: (ch(?:mod|own|grp) [^,:;]+)`)

// carryOut runs the first command of a text.
func carryOut(t *testing.T, text string) {
	t.Helper()
	m := command.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no command in %q", text)
	}
	line, _, _ := strings.Cut(m[1], "\n")
	if out, err := exec.Command("/bin/sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}
