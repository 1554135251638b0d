package authz

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// reset writes the site's configuration again, with other values.
func reset(t *testing.T, s *site.Site, changes ...func(*site.Site, site.Config)) []string {
	t.Helper()
	testutil.Must(t, s.Reconfigure(func(c site.Config) {
		c.Set("auth", "logging", logging(s))
		for _, change := range changes {
			change(s, c)
		}
	}))
	return nil
}

// withValue is a configuration with that change, and again the site's own where the fix
// is to correct or remove it.
func withValue(check, advice string, change func(*site.Site, site.Config)) situation {
	return situation{
		check: check, spoil: func(t *testing.T, s *site.Site) []string { return reset(t, s, change) },
		advice: advice, by: func(t *testing.T, s *site.Site) { reset(t, s) },
	}
}

// withFile is a configuration that uses a file, whose text is wrong and then right.
func withFile(check, advice string, change func(*site.Site, site.Config), spoil, by func(*testing.T, *site.Site)) situation {
	return situation{check: check, advice: advice, by: by, spoil: func(t *testing.T, s *site.Site) []string {
		reset(t, s, change)
		spoil(t, s)
		return nil
	}}
}

// valueSituations are values of the configuration that must be others.
func valueSituations() map[string]situation {
	scriptText := func(text string) func(*testing.T, *site.Site) {
		return func(t *testing.T, s *site.Site) {
			testutil.Must(t, testutil.WriteProgram(scriptFile(s), []byte(text), 0o700))
		}
	}
	accountMapText := func(text string) func(*testing.T, *site.Site) {
		return func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.WriteFile(filepath.Join(s.Dir, "accounts"), []byte(text), 0o644))
		}
	}
	own := func(t *testing.T, s *site.Site) { accountMapText("7 "+s.Account.Name+"\n")(t, s) }
	nothing := func(*testing.T, *site.Site) {}
	all := map[string]situation{
		"a time of another format": {check: "configuration", spoil: func(t *testing.T, s *site.Site) []string { return reset(t, s, general("kill_timeout", "2 min")) }},
		"a number as text":         {check: "configuration", spoil: func(t *testing.T, s *site.Site) []string { return reset(t, s, auth("min_uid", "1000")) }},
		"a list as text":           {check: "configuration", spoil: func(t *testing.T, s *site.Site) []string { return reset(t, s, auth("user_allowlist", s.Account.Name)) }},
		"an unknown key":           withValue("configuration", "correct it in ", general("exector", "shell")),
		"root for all":             {check: "privileges", spoil: func(t *testing.T, s *site.Site) []string { return reset(t, s, auth("downscope", "none")) }},
		"a name in a list":         withValue("lists", "remove it or correct its spelling", auth("user_blocklist", names{"jci-no-such"})),
		"a line of the map":        withFile("account map", "correct the lines", mapped("7 x\n"), accountMapText("x\n"), own),
		"an account of the map":    withFile("account map", "remove the line or correct the name", mapped("7 jci-no-such\n"), nothing, own),
		"no map":                   withFile("account map", "create it or correct the path", mapped(""), removed("accounts"), own),
		"a sum":                    withValue("RunAs", "correct the script or [auth.runas]", validated("true", func(_ *site.Site, runas site.Table) { runas["sha256"] = sumOfNothing })),
		"a script of no language":  withFile("RunAs", "write its interpreter in the first line, such as #!/bin/sh", validated("true"), scriptText("exit 0\n"), scriptText("#!/bin/sh\nexit 0\n")),
		"an interpreter":           withFile("RunAs", "install it or correct the first line", validated("true"), scriptText("#!/nonexistent/sh\n"), scriptText("#!/bin/sh\nexit 0\n")),
		"no shell":                 withValue("shells", "set general.shell_path", general("shell_path", "/nonexistent/bash")),
		"another shell":            withValue("shells", "set general.shell_path to a Bash, or remove it", general("shell_path", "/bin/dash")),
		"a shell in a list":        withValue("shells", "remove it from the list", auth("shell_allowlist", names{"/bin/bash", "/nonexistent/zsh"})),
		"no scheduler": {
			check: "scheduler", spoil: func(t *testing.T, s *site.Site) []string { return reset(t, s, batch()) }, advice: "name their directory in batch.scheduler_bin",
			by: func(t *testing.T, s *site.Site) {
				for _, name := range []string{"sbatch", "squeue", "scontrol", "scancel"} {
					created("nowhere", 0o755)(t, s)
					file("nowhere/"+name, "#!/bin/sh\necho slurm 1\n", 0o755)(t, s)
				}
			}, untried: true,
		},
	}
	return all
}

// sumOfNothing is the SHA-256 of no file.
const sumOfNothing = "0000000000000000000000000000000000000000000000000000000000000000"

// placeSituations are files and directories that must be others.
func placeSituations() map[string]situation {
	caFile := func(s *site.Site, c site.Config) { c.Set("general", "tls-ca-file", filepath.Join(s.Dir, "ca.pem")) }
	ownCA := func(t *testing.T, s *site.Site) { reset(t, s) }
	runnerKey := func(from, to string) func(*testing.T, *site.Site) []string {
		return func(t *testing.T, s *site.Site) []string {
			return []string{"--runner-config", runnerFile(t, s, from, to, 0o600)}
		}
	}
	return map[string]situation{
		"data_dir is a file": withFile("data directory", "name a directory", dataDir("file"), file("file", "", 0o644), func(t *testing.T, s *site.Site) { reset(t, s) }),
		"data_dir in /tmp":   withValue("data directory", "name a data_dir that nothing clears, such as $HOME", general("data_dir", "/tmp")),
		"data_dir of root": {check: "data directory", spoil: func(t *testing.T, s *site.Site) []string {
			created("data", 0o755)(t, s)
			return reset(t, s, dataDir("data"))
		}},
		"data_dir closed": {check: "data directory", spoil: func(t *testing.T, s *site.Site) []string {
			created("data", 0o700)(t, s)
			return reset(t, s, dataDir("data"), auth("root_dir_creation", true))
		}},
		"a directory of other programs": {check: "jacamar", advice: "install all programs from one package", spoil: func(t *testing.T, s *site.Site) []string {
			created("programs", 0o755)(t, s)
			file("programs/jacamar", "#!/bin/sh\necho Version: 0\n", 0o755)(t, s)
			return reset(t, s, auth("jacamar_path", programs(s)))
		}, by: func(t *testing.T, s *site.Site) { reset(t, s) }},
		"no program": {check: "jacamar", advice: "create it or correct the path", spoil: func(t *testing.T, s *site.Site) []string {
			return reset(t, s, auth("jacamar_path", programs(s)))
		}, by: func(t *testing.T, s *site.Site) { reset(t, s) }},
		"state below nothing": {check: "state directory", spoil: func(t *testing.T, s *site.Site) []string {
			return reset(t, s, func(s *site.Site, c site.Config) { c.Set("general", "state_dir", filepath.Join(s.Dir, "var/state")) })
		}},
		"CA file of another format": withFile("key server", "it must have certificates in PEM form (openssl x509 -inform DER -in FILE converts one)", caFile, func(t *testing.T, s *site.Site) {
			text, err := os.ReadFile(s.GitLab.CAFile)
			testutil.Must(t, err)
			block, _ := pem.Decode(text)
			file("ca.pem", string(block.Bytes), 0o644)(t, s)
		}, ownCA),
		"no CA file": withFile("CA file", "create it or correct the path", caFile, func(*testing.T, *site.Site) {}, ownCA),
		"another address of the keys": withValue("key server", "general.jwks_url names another address", func(s *site.Site, c site.Config) {
			c.Set("general", "jwks_url", s.GitLab.URL+"/nothing")
		}),
		"a log without a directory": withFile("log", "create it or correct the path", func(s *site.Site, c site.Config) {
			c.Set("auth", "logging", site.Table{"enabled": true, "location": filepath.Join(s.Dir, "missing/log")})
		}, func(*testing.T, *site.Site) {}, created("missing", 0o700)),
		"a log server that is down": withValue("log", "name another place in [auth.logging]", func(_ *site.Site, c site.Config) {
			c.Set("auth", "logging", site.Table{"enabled": true, "location": "syslog", "network": "tcp", "address": "127.0.0.1:1"})
		}),
		"a data_dir to be made in /tmp": withValue("data directory", "name a data_dir below directories that only root can write, or $HOME", general("data_dir", "/tmp/jci-no-such/ci")),
		"a log that grew": withFile("log", "install the logrotate configuration of the package", func(*site.Site, site.Config) {}, func(t *testing.T, s *site.Site) {
			file("operator.log", "", 0o600)(t, s)
			testutil.Must(t, os.Truncate(logFile(s), 2<<30))
		}, func(t *testing.T, s *site.Site) { testutil.Must(t, os.Truncate(logFile(s), 0)) }),
		"the journal": {check: "journal", spoil: func(t *testing.T, s *site.Site) []string {
			file("state/journal", "", 0o600)(t, s)
			return reset(t, s)
		}, advice: "or set auth.journal.enabled = false", by: func(t *testing.T, s *site.Site) {
			testutil.Must(t, rewrite(s.ConfigFile, "auth.journal", "enabled", "false"))
		}},
		"grace of a second":    {check: "runner", spoil: runnerKey(`[runners.custom]`, "[runners.custom]\n    graceful_kill_timeout = 1")},
		"timeout of a second":  {check: "runner", spoil: runnerKey(`[runners.custom]`, "[runners.custom]\n    config_exec_timeout = 1")},
		"shutdown of a second": {check: "runner", spoil: runnerKey(`shutdown_timeout = 150`, "shutdown_timeout = 1")},
		"no stage at all":      {check: "runner", spoil: runnerKey(`    run_args = ["run"]`, "")},
		"no TOML": {
			check: "runner", spoil: runnerKey(`[[runners]]`, "[[runners]"), advice: "correct it, as the runner reports it",
			by: func(t *testing.T, s *site.Site) { runnerFile(t, s, "", "", 0o600) },
		},
	}
}
