package authz

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
	"jacamar-ci/test/harness/testutil"
)

// dataDir sets data_dir to a path in the site's directory.
func dataDir(path string) func(*site.Site, site.Config) {
	return func(s *site.Site, c site.Config) { c.Set("general", "data_dir", filepath.Join(s.Dir, path)) }
}

// removed removes a file of the site.
func removed(path string) func(*testing.T, *site.Site) {
	return func(t *testing.T, s *site.Site) { testutil.Must(t, os.Remove(filepath.Join(s.Dir, path))) }
}

// created makes a directory of the site with that mode.
func created(path string, mode os.FileMode) func(*testing.T, *site.Site) {
	return func(t *testing.T, s *site.Site) {
		t.Helper()
		dir := filepath.Join(s.Dir, path)
		testutil.Must(t, os.MkdirAll(dir, 0o755))
		testutil.Must(t, os.Chmod(dir, mode))
	}
}

// file is a file of the site with that text and mode.
func file(path, text string, mode os.FileMode) func(*testing.T, *site.Site) {
	return func(t *testing.T, s *site.Site) {
		t.Helper()
		name := filepath.Join(s.Dir, path)
		testutil.Must(t, testutil.WriteProgram(name, []byte(text), 0o600))
		testutil.Must(t, os.Chmod(name, mode))
	}
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
		testutil.Must(t, testutil.WriteProgram(programs(s), text, 0o711))
		spoil(t, programs(s))
	}
}

func programMistake(name, check, record string, fix bool, spoil func(t *testing.T, path string)) mistake {
	m := mistake{name: name, check: check, outcome: system, texts: []string{misconfigured}, record: record, fix: fix}
	m.change, m.spoil = copied(spoil)
	return m
}

// installationMistakes are faults of files that a correct configuration names.
func installationMistakes() (all []mistake) {
	all = append(all, programMistakes()...)
	all = append(all, dataMistakes()...)
	all = append(all, serverMistakes()...)
	all = append(all, stateMistakes()...)
	return append(all, listMistakes()...)
}

func programMistakes() []mistake {
	closed := "has mode 0700: install the programs where every account may enter"
	return append(row("jacamar that accounts cannot run", "jacamar",
		programMistake("missing", "does not exist", "is missing: install all programs from one package", false, func(t *testing.T, p string) { testutil.Must(t, os.Remove(p)) }),
		programMistake("mode 0700", "cannot run", closed, true, func(t *testing.T, p string) { testutil.Must(t, os.Chmod(p, 0o700)) }),
		programMistake("in a directory with mode 0700", "cannot run", closed, true, func(t *testing.T, p string) {
			testutil.Must(t, os.Chmod(filepath.Dir(p), 0o700))
		}),
		programMistake("a directory", "regular file", "jacamar", false, func(t *testing.T, p string) {
			testutil.Must(t, os.Remove(p), os.Mkdir(p, 0o755))
		}),
		programMistake("no program", "exec format error", "exec format error: install the package for this machine", false, func(t *testing.T, p string) {
			testutil.Must(t, testutil.WriteProgram(p, []byte("echo\n"), 0o711))
		}),
	), row("jacamar that others could change", "writable by",
		programMistake("writable by the group", "", "is writable by group", true, func(t *testing.T, p string) { testutil.Must(t, os.Chmod(p, 0o775)) }),
		programMistake("its directory writable by the group", "", "is writable by", true, func(t *testing.T, p string) {
			testutil.Must(t, os.Chmod(filepath.Dir(p), 0o775))
		}),
		programMistake("its directory writable by all", "", "is writable by", true, func(t *testing.T, p string) { testutil.Must(t, os.Chmod(filepath.Dir(p), 0o777)) }),
		programMistake("of another account", "owned by uid", "owned by uid", true, func(t *testing.T, p string) { testutil.Must(t, os.Chown(p, 4242, 0)) }),
	)...)
}

func dataMistakes() (all []mistake) {
	all = row("data_dir missing, a file", "",
		mistake{
			name: "missing", check: "does not exist", change: dataDir("scratch/ci"), outcome: system,
			texts: []string{"cannot create ", "no such file or directory", "its parent directory must exist"}, record: "no such file",
		},
		mistake{
			name: "a file", check: "is not a directory", change: dataDir("file"), spoil: file("file", "", 0o644), outcome: system,
			texts: []string{"file is not a directory", "rename /"}, record: "not a directory",
		},
		mistake{
			name: "a variable that no shell sets", check: unchecked, change: general("data_dir", "$JCI_NO_SUCH/ci", "variable_data_dir", true), outcome: system,
			texts: []string{"your login shell does not set JCI_NO_SUCH", "check what `bash --login -c 'echo $JCI_NO_SUCH'` prints"}, record: "does not set JCI_NO_SUCH",
		},
	)
	all = append(all, row("data_dir below a closed directory", "cannot enter",
		mistake{name: "0700", change: dataDir("closed/ci"), spoil: func(t *testing.T, s *site.Site) {
			created("closed/ci", 0o755)(t, s)
			created("closed", 0o700)(t, s)
		}, outcome: system, texts: []string{"permission denied", "check its owner and mode"}, record: "permission denied"},
	)...)
	own := func(s *site.Site, c site.Config) {
		dataDir("data")(s, c)
		c.Set("auth", "root_dir_creation", true)
	}
	all = append(all, row("data_dir of root", "",
		mistake{
			name: "0755 without root_dir_creation", check: "accounts without a directory of their own", change: dataDir("data"), spoil: created("data", 0o755), outcome: system,
			texts: []string{"cannot create ", "permission denied"}, record: "permission denied",
		},
		mistake{name: "0755 with root_dir_creation", check: clean, change: own, spoil: created("data", 0o755), outcome: success},
		mistake{name: "1777 with root_dir_creation", check: "could replace the directory of another", change: own, spoil: created("data", os.ModeSticky|0o777), outcome: system, texts: []string{misconfigured}, record: "root_dir_creation"},
	)...)
	return all
}

func serverMistakes() (all []mistake) {
	all = row("address of the server", "",
		mistake{name: "a slash at its end", check: clean, change: func(s *site.Site, c site.Config) { c.Set("general", "gitlab_server", s.GitLab.URL+"/") }, outcome: success},
		mistake{
			name: "below a path", check: "HTTP status", change: func(s *site.Site, c site.Config) { c.Set("general", "gitlab_server", s.GitLab.URL+"/gitlab") },
			outcome: system, texts: []string{failed}, record: "cannot fetch keys",
		},
		mistake{name: "a host that does not exist", check: "no such host", change: general("gitlab_server", "https://gitlab.jci.invalid"), outcome: system, texts: []string{failed}, record: "cannot fetch keys"},
		mistake{name: "a port at which nothing answers", check: "connection refused", change: general("gitlab_server", "https://127.0.0.1:1"), outcome: system, texts: []string{failed}, record: "cannot fetch keys"},
		mistake{name: "another issuer", check: "every job is refused", change: general("jwt_issuer", "https://GITLAB.example.com"), outcome: build, texts: []string{refused}, record: "issuer"},
	)
	ca := func(s *site.Site, c site.Config) { c.Set("general", "tls-ca-file", filepath.Join(s.Dir, "ca.pem")) }
	spoiled := func(name, check string, spoil func(*testing.T, *site.Site)) mistake {
		return mistake{name: name, check: check, change: func(s *site.Site, c site.Config) {
			ca(s, c)
			c.Set("general", "state_dir", s.StateDir) // without keys
		}, spoil: spoil, outcome: system, texts: []string{"jacamar: ERROR: "}}
	}
	return append(all, row("CA file", "",
		spoiled("missing", "does not exist", func(*testing.T, *site.Site) {}),
		spoiled("DER", "PEM", func(t *testing.T, s *site.Site) {
			text, err := os.ReadFile(s.GitLab.CAFile)
			testutil.Must(t, err)
			block, _ := pem.Decode(text)
			file("ca.pem", string(block.Bytes), 0o644)(t, s)
		}),
		spoiled("a directory", "regular file", created("ca.pem", 0o755)),
		spoiled("empty", "PEM", file("ca.pem", "", 0o644)),
		spoiled("writable by all", "writable by", func(t *testing.T, s *site.Site) {
			text, err := os.ReadFile(s.GitLab.CAFile)
			testutil.Must(t, err)
			file("ca.pem", string(text), 0o666)(t, s)
		}),
		keyMistake("with ~", "tls-ca-file", general("tls-ca-file", "~/ca.pem")),
	)...)
}

func stateMistakes() (all []mistake) {
	state := func(name, check string, spoil func(*testing.T, *site.Site), m mistake) mistake {
		m.name, m.check, m.spoil = name, check, spoil
		m.change = func(s *site.Site, c site.Config) { c.Set("general", "state_dir", filepath.Join(s.Dir, "state")) }
		m.runner = func(_ *site.Site, r *fakerunner.Runner) { r.Judge = nil } // its cleanup warns
		return m
	}
	bad := mistake{outcome: system, texts: []string{misconfigured}}
	all = row("state directory", "",
		state("of another account", "belongs to uid 4242", func(t *testing.T, s *site.Site) {
			created("state", 0o700)(t, s)
			testutil.Must(t, os.Chown(filepath.Join(s.Dir, "state"), 4242, 0))
		}, bad),
		state("missing", clean, func(t *testing.T, s *site.Site) { testutil.Must(t, os.RemoveAll(filepath.Join(s.Dir, "state"))) }, mistake{outcome: success}),
		state("mode 0755", clean, created("state", 0o755), mistake{outcome: success}),
		state("mode 0775", "state", created("state", 0o775), bad),
		state("a file", "state", func(t *testing.T, s *site.Site) {
			testutil.Must(t, os.RemoveAll(filepath.Join(s.Dir, "state")))
			file("state", "", 0o600)(t, s)
		}, bad),
	)
	warned := []string{"WARNING: cannot write the operator's log (administrators: see jacamar-admin check)"}
	logs := func(name, check string, table func(*site.Site) site.Table, spoil func(*testing.T, *site.Site)) mistake {
		return mistake{
			name: name, check: check, change: func(s *site.Site, c site.Config) { c.Set("auth", "logging", table(s)) }, spoil: spoil,
			runner: func(_ *site.Site, r *fakerunner.Runner) { r.Judge = nil }, outcome: success, texts: warned,
		}
	}
	key := func(pairs ...any) func(*site.Site, site.Config) {
		table := site.Table{"enabled": true}
		for i := 0; i < len(pairs); i += 2 {
			table[pairs[i].(string)] = pairs[i+1]
		}
		return auth("logging", table)
	}
	return append(all, row("operator's log", "",
		keyMistake("a relative path", "location", key("location", "log")),
		keyMistake("an address without a port", "is not ADDRESS:PORT", key("location", "syslog", "network", "udp", "address", "127.0.0.1")),
		keyMistake("an unknown network", "udp", key("location", "syslog", "network", "icmp", "address", "127.0.0.1:514")),
		logs("its directory is missing", "cannot be written", func(s *site.Site) site.Table {
			return site.Table{"enabled": true, "location": filepath.Join(s.Dir, "missing/log")}
		}, nil),
		logs("a server that is down", "cannot be written", func(*site.Site) site.Table {
			return site.Table{"enabled": true, "location": "syslog", "network": "tcp", "address": "127.0.0.1:1"}
		}, nil),
		logs("writable by all", "writable by", func(s *site.Site) site.Table { return logging(s) }, file("operator.log", "", 0o666)),
		logs("in /tmp", "cannot be written", func(*site.Site) site.Table { return site.Table{"enabled": true, "location": "/tmp/jci-log/x"} }, nil),
		logs("a directory", "cannot be written", func(s *site.Site) site.Table {
			return site.Table{"enabled": true, "location": filepath.Join(s.Dir, "log")}
		}, created("log", 0o700)),
	)...)
}

func listMistakes() (all []mistake) {
	scripted := func(name, check, record string, spoil func(*testing.T, *site.Site)) mistake {
		return mistake{name: name, check: check, change: validated("true"), spoil: spoil, outcome: system, texts: []string{misconfigured}, record: record}
	}
	rewritten := func(text string, mode os.FileMode) func(*testing.T, *site.Site) {
		return func(t *testing.T, s *site.Site) {
			t.Helper()
			testutil.Must(t, testutil.WriteProgram(scriptFile(s), []byte(text), 0o700))
			testutil.Must(t, os.Chmod(scriptFile(s), mode))
		}
	}
	all = row("script of RunAs", "",
		scripted("missing", "does not exist", "cannot open", func(t *testing.T, s *site.Site) { testutil.Must(t, os.Remove(scriptFile(s))) }),
		scripted("not executable", "run", "run", func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(scriptFile(s), 0o600)) }),
		scripted("writable by all", "writable by", "writable by", func(t *testing.T, s *site.Site) { testutil.Must(t, os.Chmod(scriptFile(s), 0o777)) }),
		keyMistake("with arguments", "/usr/bin/id -u does not exist", auth("runas", site.Table{"validation_script": "/usr/bin/id -u"})),
		mistake{name: "another sum", check: "sha256", change: validated("true", func(_ *site.Site, runas site.Table) {
			runas["sha256"] = "0000000000000000000000000000000000000000000000000000000000000000"
		}), outcome: system, texts: []string{misconfigured}, record: "sha256"},
	)
	all = append(all, row("script of RunAs without an interpreter", "",
		scripted("none", "neither a program nor a script", "exec format error", rewritten("true\n", 0o700)),
		scripted("one that does not exist", "needs an interpreter that does not exist", "cannot run the validation script", rewritten("#!/nonexistent/python\n", 0o700)),
	)...)
	return append(all, row("account map", "",
		mistake{name: "missing", check: "does not exist", change: mapped("7 x\n"), spoil: removed("accounts"), outcome: system, texts: []string{misconfigured}, record: "account map"},
		mistake{name: "a bad line", check: "line 1", change: mapped("x"), outcome: system, texts: []string{misconfigured}, record: "cannot use the account map"},
		mistake{name: "an unknown account", check: "which is no account here", change: mapped("7 jci-no-such\n"), outcome: system, texts: []string{"there is no account"}, record: "jci-no-such"},
		mistake{name: "another user's line", check: clean, change: func(s *site.Site, c site.Config) { mapped("99999 "+s.Account.Name+"\n")(s, c) }, outcome: build, texts: []string{refused}, record: "account"},
		keyMistake("unused", "account_source", auth("account_map", "/etc/passwd")),
	)...)
}
