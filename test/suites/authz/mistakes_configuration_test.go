package authz

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// clean is a configuration of which check has no finding.
const clean = ""

// configMistake replaces a text of the configuration by one that is wrong.
func configMistake(name, old, replacement, check string) mistake {
	return mistake{
		name: name, check: check, outcome: system, texts: []string{misconfigured, "ask its administrators, quoting job "},
		spoil: written(func(text string) string {
			if !strings.Contains(text, old) {
				panic(old + " is not in the configuration")
			}
			return strings.Replace(text, old, replacement, 1)
		}),
	}
}

// keyMistake sets a key to a value that is refused.
func keyMistake(name, check string, change func(*site.Site, site.Config)) mistake {
	return mistake{name: name, check: check, change: change, outcome: system, texts: []string{misconfigured}}
}

// fileMistake is about the configuration as a file.
func fileMistake(name, check string, spoil func(*testing.T, *site.Site)) mistake {
	return mistake{name: name, check: check, spoil: spoil, outcome: system, texts: []string{misconfigured}}
}

// accepted is a text that only seems to be wrong.
func accepted(name string, change func(text string) string) mistake {
	return mistake{name: name, spoil: written(change), outcome: success}
}

// configurationMistakes are faults of the file itself.
func configurationMistakes() (all []mistake) {
	all = append(all, keyNames()...)
	all = append(all, values()...)
	all = append(all, files()...)
	return append(all, keyValues()...)
}

func keyNames() []mistake {
	return row("misspelt key, wrong table, missing keys, empty file", "",
		configMistake("misspelt key", "gitlab_server", "gitlab_sever", "did you mean gitlab_server"),
		configMistake("key in the wrong table", "[auth]", "[auth]\nexecutor = \"shell\"", "executor"),
		configMistake("tls_ca_file", "tls-ca-file", "tls_ca_file", "did you mean tls-ca-file"),
		configMistake("misspelt table", "[general]", "[generel]", "did you mean general"),
		configMistake("upper case", "gitlab_server", "GitLab_Server", "did you mean gitlab_server"),
		configMistake("missing keys", "downscope", "# downscope", "downscope"),
		fileMistake("empty file", "missing", written(func(string) string { return "" })),
		fileMistake("only comments", "missing", written(func(string) string { return "# none\n" })),
		fileMistake("no file", "does not exist", func(t *testing.T, s *site.Site) { testutil.Must(t, os.Remove(s.ConfigFile)) }),
	)
}

func values() (all []mistake) {
	all = row("units of times and sizes", "",
		configMistake("a number for a time", `kill_timeout = "5s"`, `kill_timeout = 120`, `write kill_timeout = "120s"`),
		configMistake("a time without a unit", `"5s"`, `"120"`, `write kill_timeout = "120s"`),
		configMistake("a time with a blank", `"5s"`, `"2 min"`, `write kill_timeout = "2m"`),
		configMistake("a time in days", `"5s"`, `"2d"`, `write kill_timeout = "48h"`),
		configMistake("a negative time", `"5s"`, `"-5s"`, "kill_timeout"),
		keyMistake("a size in GB", `write as = "16G"`, auth("limits", site.Table{"as": "16GB"})),
		keyMistake("soft above hard", "limits", auth("limits", site.Table{"as": "8M:4M"})),
	)
	all = append(all, row("TOML", "",
		keyMistake("text for a boolean", "write no_new_privs = true", auth("no_new_privs", "true")),
		configMistake("yes", "[auth]", "[auth]\nno_new_privs = yes", "line "),
		configMistake("True", "[auth]", "[auth]\nno_new_privs = True", "line "),
		keyMistake("text for a list", `["a"]`, auth("user_allowlist", "a")),
		configMistake("missing comma", "[auth]", "[auth]\nuser_allowlist = [\"a\" \"b\"]", "line "),
		configMistake("smart quotes", `"shell"`, `“shell”`, "line "),
		configMistake("unquoted $HOME", `"$HOME"`, `$HOME`, "line "),
		configMistake("no value", `executor = "shell"`, `executor =`, "line "),
		configMistake("no quotation mark at the end", `"shell"`, `"shell`, "line "),
		configMistake("the same table twice", "[general]", "[general]\n[general]", "general"),
		configMistake("the same key twice", `executor = "shell"`, "executor = \"shell\"\nexecutor = \"shell\"", "executor"),
	)...)
	all = append(all, row("BOM, CRLF", clean,
		accepted("byte order mark", func(text string) string { return "\xef\xbb\xbf" + text }),
		accepted("CRLF", func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }),
	)...)
	return append(all, row("unknown words", "",
		configMistake("unknown executor", `"shell"`, `"Shell"`, "shell"),
		configMistake("a shell as executor", `"shell"`, `"bash"`, "shell"),
		configMistake("executor of another project", `"shell"`, `"pjm"`, "slurm"),
		configMistake("unknown downscope", `downscope = "setuid"`, `downscope = "su"`, "setuid"),
		keyMistake("unknown level", "info", auth("logging", site.Table{"enabled": true, "level": "verbose"})),
		keyMistake("unknown account_source", "map", auth("account_source", "ldap")),
	)...)
}

func files() (all []mistake) {
	chmod := func(mode os.FileMode) func(*testing.T, *site.Site) {
		return func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(s.ConfigFile, mode)) }
	}
	all = row("configuration that others could change", "",
		fileMistake("writable by the group", "writable by group", chmod(0o664)),
		fileMistake("writable by all", "writable by group and others", chmod(0o666)),
		fileMistake("directory writable by all", "writable by group and others", func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(s.Dir, 0o777)) }),
		fileMistake("of another account", "owned by uid", func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.Chown(s.ConfigFile, int(s.Account.UID), -1))
		}),
		fileMistake("a symbolic link", "symbolic link", func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.Rename(s.ConfigFile, s.ConfigFile+".real"), os.Symlink(s.ConfigFile+".real", s.ConfigFile))
		}),
		fileMistake("a directory", "regular file", func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.Remove(s.ConfigFile), os.Mkdir(s.ConfigFile, 0o755))
		}),
	)
	return append(all, row("configuration that all can read", clean,
		mistake{name: "readable by all", spoil: chmod(0o644), outcome: success},
	)...)
}

func keyValues() (all []mistake) {
	all = row("data_dir with ~, ${HOME}", clean,
		mistake{name: "home as ~", change: general("data_dir", "~"), outcome: success},
		mistake{name: "a directory in ~", change: general("data_dir", "~/ci"), outcome: success},
		mistake{name: "home as ${HOME}", change: general("data_dir", "${HOME}"), outcome: success},
	)
	all = append(all, row("data_dir that is no path", "data_dir",
		keyMistake("another's home as data_dir", "~root", general("data_dir", "~root/ci")),
		keyMistake("a relative data_dir", "absolute", general("data_dir", "ci")),
		keyMistake("a variable without variable_data_dir", "variable_data_dir", general("data_dir", "$SCRATCH/ci")),
		keyMistake("an empty data_dir", "data_dir", general("data_dir", "")),
		keyMistake("data_dir with ..", "data_dir", general("data_dir", "/scratch/../etc")),
	)...)
	all = append(all, row("server without https", "gitlab_server",
		keyMistake("a server without a scheme", "https://gitlab.example.com", general("gitlab_server", "gitlab.example.com")),
		keyMistake("a server over http", "https", general("gitlab_server", "http://gitlab.example.com")),
		keyMistake("a user in the server's address", "gitlab_server", general("gitlab_server", "https://me@gitlab.example.com")),
		keyMistake("a query in the server's address", "gitlab_server", general("gitlab_server", "https://gitlab.example.com/?a=b")),
	)...)
	all = append(all, row("min_uid, runner_ids", "",
		keyMistake("text for a number", "write min_uid = 1000", auth("min_uid", "1000")),
		keyMistake("min_uid 0", "min_uid", auth("min_uid", 0)),
		keyMistake("a negative min_uid", "min_uid", auth("min_uid", -5)),
		keyMistake("runner_ids as text", "runner_ids", auth("runner_ids", names{"5"})),
	)...)
	all = append(all, row("project pattern", "matches no project",
		mistake{name: "a regular expression for a project", change: auth("project_allowlist", names{"^group/.*$"}), outcome: build, texts: []string{refused}, record: "matches no entry"},
		keyMistake("a URL for a project", "project_allowlist", auth("project_allowlist", names{"https://gitlab.example.com/group/project"})),
	)...)
	all = append(all, row("seccomp", "",
		keyMistake("seccomp without no_new_privs", "no_new_privs", auth("seccomp", site.Table{"block_all": true, "allow_calls": names{"read"}})),
		keyMistake("an unknown call", "no_such_call", auth("no_new_privs", true, "seccomp", site.Table{"block_calls": names{"no_such_call"}})),
		keyMistake("too few calls", "lacks calls without which no job starts", auth("no_new_privs", true, "seccomp", site.Table{"block_all": true, "allow_calls": names{"read", "write", "execve"}})),
		keyMistake("a call that all programs need", "refuses calls without which no job starts", auth("no_new_privs", true, "seccomp", site.Table{"block_calls": names{"execve"}})),
	)...)
	all = append(all, row("limits too low", "jacamar itself needs",
		keyMistake("memory", "", auth("limits", site.Table{"as": "1M"})),
		keyMistake("open files", "", auth("limits", site.Table{"nofile": "3"})),
	)...)
	all = append(all, row("cancel_grace", "cancel_grace",
		keyMistake("cancel_grace as long as kill_timeout", "", func(s *site.Site, c site.Config) {
			c.Set("general", "executor", "slurm")
			c.Set("batch", "cancel_grace", "5s")
		}),
	)...)
	all = append(all, row("keys of the original", "",
		keyMistake("auth.enabled", "every job is authorized: remove it", auth("enabled", true)),
		keyMistake("an unknown run_mechanism", "podman", general("run_mechanism", "docker")),
		keyMistake("a plugin of RunAs", "validation_script", auth("runas", site.Table{"validation_plugin": "x"})),
		keyMistake("ff_custom_data_dir", "data_dir", general("ff_custom_data_dir", true)),
	)...)
	return append(all, row("arguments of the batch system", "",
		keyMistake("variables in one text", "env_vars", batch("env_vars", "A=b C=d")),
		keyMistake("default_args as text", "default_args", batch("default_args", "-N 1")),
		mistake{
			name: "two arguments in one", check: "one argument with a blank in it", change: batch("default_args", names{"--partition=main --time=10"}),
			outcome: system, texts: []string{"cannot use the executor"}, record: "nowhere",
		},
		keyMistake("a rule without arguments", "name the arguments or remove the rule", batch("rule", []site.Table{{"projects": names{"hpc/**"}, "args": names{}}})),
	)...)
}

// batch sets keys of that table, and an executor that uses it.
func batch(pairs ...any) func(*site.Site, site.Config) {
	return func(s *site.Site, c site.Config) {
		c.Set("general", "executor", "slurm")
		c.Set("general", "kill_timeout", "2m")
		c.Set("batch", "scheduler_bin", filepath.Join(s.Dir, "nowhere"))
		for i := 0; i < len(pairs); i += 2 {
			c.Set("batch", pairs[i].(string), pairs[i+1])
		}
	}
}
