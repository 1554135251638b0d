package authz

import (
	"strings"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/fakerunner/gitlab"
	"jacamar-ci/test/harness/site"
)

func custom(dir string) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job {
		return site.WithVariable(s.Job("id -un"), "CUSTOM_CI_BUILDS_DIR", strings.ReplaceAll(dir, "LOGIN", s.Account.Name))
	}
}

// script is a job with that script.
func script(lines ...string) func(*site.Site) fakerunner.Job {
	return func(s *site.Site) fakerunner.Job { return s.Job(lines...) }
}

// authorMistakes are those of a job's author.
func authorMistakes() (all []mistake) {
	all = append(all, tokenMistakes()...)
	all = append(all, accountMistakes()...)
	all = append(all, directoryMistakes()...)
	return append(all, scriptMistakes()...)
}

func tokenMistakes() (all []mistake) {
	lines := "    id_tokens:\n      SITE_ID_TOKEN:\n        aud: \"https://127.0.0.1:"
	all = row("no token", unchecked,
		mistake{
			name: "none", job: func(s *site.Site) fakerunner.Job { return site.WithToken(s.Job("true"), "") }, outcome: build,
			texts: []string{"ERROR: the job has no id_token SITE_ID_TOKEN", "write in the job in .gitlab-ci.yml:", lines}, record: "no id_token",
		},
		mistake{name: "of another name", job: func(s *site.Site) fakerunner.Job {
			return site.WithVariable(site.WithToken(s.Job("true"), ""), "MY_TOKEN", "x")
		}, outcome: build, texts: []string{"ERROR: the job has no id_token SITE_ID_TOKEN", lines}, record: "no id_token"},
		mistake{name: "text instead of a token", job: respelled(func(string) string { return "please" }), outcome: build, texts: []string{refused}, record: "three parts"},
	)
	return append(all, row("wrong aud", unchecked,
		mistake{
			name: "of another server", job: with("aud", "https://vault.example"), outcome: build,
			texts: []string{`the aud "https://vault.example", and this resource expects "https://127.0.0.1:`, lines}, record: "https://vault.example",
		},
		mistake{
			name: "of GitLab where the site has its own", change: general("jwt_required_aud", "https://hpc.example"), outcome: build,
			texts: []string{`expects "https://hpc.example"`, "        aud: \"https://hpc.example\""}, record: "want",
		},
		mistake{
			name: "with a slash at the end", job: func(s *site.Site) fakerunner.Job { return with("aud", s.GitLab.URL+"/")(s) }, outcome: build,
			texts: []string{"/\", and this resource expects"}, record: "want",
		},
	)...)
}

func accountMistakes() (all []mistake) {
	all = row("account unknown, without a shell", unchecked,
		mistake{name: "no account of that name", job: func(s *site.Site) fakerunner.Job {
			return caused(s, gitlab.User{ID: s.User.ID, Login: "jci-no-such", Email: "x@example.org"})
		}, outcome: system, texts: []string{"there is no account jci-no-such on this machine", "ask its administrators for one"}, record: "jci-no-such"},
		mistake{name: "an account of the system", job: func(s *site.Site) fakerunner.Job {
			return caused(s, gitlab.User{ID: s.User.ID, Login: "daemon", Email: "x@example.org"})
		}, outcome: build, texts: []string{refused}, record: "daemon"},
		mistake{name: "root", job: func(s *site.Site) fakerunner.Job {
			return caused(s, gitlab.User{ID: s.User.ID, Login: "root", Email: "x@example.org"})
		}, outcome: build, texts: []string{refused}, record: "root"},
		mistake{name: "a shell that is not on the list", change: auth("shell_allowlist", names{"/bin/tcsh"}), outcome: build, texts: []string{refused}, record: "shell"},
	)
	return append(all, row("lists", unchecked,
		mistake{
			name: "blocked", change: func(s *site.Site, c site.Config) { c.Set("auth", "user_blocklist", names{s.Account.Name}) }, check: clean,
			outcome: build, texts: []string{refused, "quoting job "}, record: "user_blocklist",
		},
		mistake{name: "an empty allowlist", check: "is set and empty: it matches nothing", change: auth("user_allowlist", names{}), outcome: build, texts: []string{refused}, record: "no_allowlist_match"},
		keyMistake("two names in one entry", `write "a", "b", one entry for each`, auth("user_allowlist", names{"a, b"})),
		keyMistake("a name with a blank", "user_allowlist", auth("user_allowlist", names{" a"})),
		mistake{
			name: "a group that does not exist", check: "there is no such group", change: auth("groups_allowlist", names{"jci-no-such-group"}),
			outcome: build, texts: []string{refused}, record: "no_allowlist_match",
		},
		mistake{
			name: "an account that does not exist", check: "there is no such account", change: auth("user_allowlist", names{"jci-no-such"}),
			outcome: build, texts: []string{refused}, record: "no_allowlist_match",
		},
		mistake{name: "below min_uid", change: auth("min_uid", 2_000_000_000), outcome: build, texts: []string{refused}, record: "min_uid"},
		mistake{name: "another project", change: auth("project_allowlist", names{"hpc/**"}), outcome: build, texts: []string{refused}, record: "matches no entry"},
		mistake{name: "another source of pipelines", change: auth("pipeline_source_allowlist", names{"schedule"}), outcome: build, texts: []string{refused}, record: "pipeline_source"},
		mistake{name: "logins are off", check: unchecked, change: auth("protected_refs_only", true), job: with("ref_protected", "false"), outcome: build, texts: []string{refused}, record: "protected"},
	)...)
}

func directoryMistakes() (all []mistake) {
	chosen := general("custom_build_dir", true)
	all = row("CUSTOM_CI_BUILDS_DIR that works", unchecked,
		mistake{name: "not allowed", job: custom("/tmp/LOGIN"), outcome: success, texts: []string{"WARNING: CUSTOM_CI_BUILDS_DIR has no effect on this resource"}},
		mistake{name: "empty", change: chosen, job: custom(""), outcome: success},
		mistake{name: "in the home", change: chosen, job: custom("~/ci"), outcome: success},
		mistake{name: "with a blank", change: chosen, job: custom("~/my ci"), outcome: success},
	)
	return append(all, row("CUSTOM_CI_BUILDS_DIR that is refused", unchecked,
		mistake{name: "relative", change: chosen, job: custom("ci"), outcome: build, texts: []string{`the path "ci" is not absolute`, "or ~/ with a path in your home"}, record: "not absolute"},
		mistake{name: "with ..", change: chosen, job: custom("/tmp/../etc"), outcome: build, texts: []string{`has a ".." in it`, "without .. in it"}, record: ".."},
		mistake{
			name: "/etc", change: chosen, job: custom("/etc"), outcome: build,
			texts: []string{"owned by root, not by you", "write a directory of your own in CUSTOM_CI_BUILDS_DIR, such as ~/ci"}, record: "owned by root",
		},
		mistake{name: "/tmp", change: chosen, job: custom("/tmp"), outcome: build, texts: []string{"owned by root, not by you", "such as /tmp/jci"}, record: "owned by root"},
		mistake{name: "in another's home", change: chosen, job: custom("/root/ci"), outcome: build, texts: []string{"such as ~/ci"}, record: "CUSTOM_CI_BUILDS_DIR"},
		mistake{name: "an unknown variable", change: chosen, job: custom("$JCI_NO_SUCH/ci"), outcome: build, texts: []string{"GitLab replaces a variable that it does not know, such as $HOME, by nothing"}, record: "CUSTOM_CI_BUILDS_DIR"},
	)...)
}

func scriptMistakes() (all []mistake) {
	variable := func(name, value string) func(*site.Site) fakerunner.Job {
		return func(s *site.Site) fakerunner.Job { return site.WithVariable(s.Job("id -un"), name, value) }
	}
	all = row("success", unchecked,
		mistake{name: "no mistake", check: clean, outcome: success, texts: []string{"jacamar: Running as ", "the script ended: exit code 0", "node: ", "ran: "}},
	)
	all = append(all, row("ends of scripts", unchecked,
		mistake{name: "exit 7", job: script("exit 7"), outcome: build, texts: []string{"the script ended: exit code 7", "jacamar: ERROR: the job's script ended with exit code 7"}, record: "exit code 7"},
		mistake{name: "a command that does not exist", job: script("jci-no-such-command"), outcome: build, texts: []string{"command not found", "exit code 127"}, record: "exit code 127"},
		mistake{name: "read from standard input", job: script("read -r answer || echo no-input"), outcome: success, texts: []string{"no-input"}},
		mistake{name: "lines that end in CR LF", job: script("echo one\r", "echo two\r"), outcome: success, texts: []string{"one", "two"}},
		mistake{name: "kill", job: script("kill -KILL $$"), outcome: build, texts: []string{"signal 9 (SIGKILL)"}, record: "SIGKILL"},
	)...)
	all = append(all, row("image, services", unchecked,
		mistake{name: "image", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			j.Image = "python:3.12"
			return j
		}, outcome: success, texts: []string{"jacamar: WARNING: image: has no effect on this resource"}},
		mistake{name: "services", job: func(s *site.Site) fakerunner.Job {
			j := s.Job("id -un")
			j.Services = []fakerunner.Service{{Name: "postgres:16"}}
			return j
		}, outcome: success, texts: []string{"jacamar: WARNING: services: has no effect on this resource"}},
	)...)
	all = append(all, row("a variable with a wrong name", unchecked,
		mistake{
			name: "CUSTOM_CI_BUILD_DIR", job: variable("CUSTOM_CI_BUILD_DIR", "/x"), outcome: success,
			texts: []string{"WARNING: CUSTOM_CI_BUILD_DIR has no effect: the name of the variable is CUSTOM_CI_BUILDS_DIR"},
		},
	)...)
	return append(all, row("a variable that is too long", unchecked,
		mistake{
			name: "max_env_chars", change: auth("max_env_chars", 100), job: variable("LONG", strings.Repeat("x", 4000)), outcome: build,
			texts: []string{"ERROR: the CI variable ", "bytes long; this resource accepts 100"}, record: "bytes long",
		},
	)...)
}
