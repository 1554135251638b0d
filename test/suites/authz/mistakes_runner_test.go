package authz

import (
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// runnerMistakes are faults of the runner's config.toml.
func runnerMistakes() (all []mistake) {
	called := func(name string, change func(*site.Site, *fakerunner.Runner), m mistake) mistake {
		m.name, m.runner = name, change
		return m
	}
	bad := mistake{outcome: system, texts: []string{misconfigured}}
	all = row("calls of the stages", unchecked,
		called("config without --configuration", func(s *site.Site, r *fakerunner.Runner) { r.Custom.Config = []string{s.Auth, "config"} }, bad),
		called("--configuration before config", func(s *site.Site, r *fakerunner.Runner) {
			r.Custom.Config = []string{s.Auth, "--configuration", s.ConfigFile, "config"}
		}, bad),
		called("all arguments in one", func(s *site.Site, r *fakerunner.Runner) {
			r.Custom.Config = []string{s.Auth, "config --configuration " + s.ConfigFile}
		}, bad),
		called("an unknown option in prepare", func(s *site.Site, r *fakerunner.Runner) { r.Custom.Prepare = []string{s.Auth, "prepare", "-x"} }, bad),
		called("jacamar instead of jacamar-auth", func(s *site.Site, r *fakerunner.Runner) {
			r.Custom.Config = []string{s.Jacamar, "config", "--configuration", s.ConfigFile}
			r.Custom.Cleanup = nil
		}, mistake{outcome: system, texts: []string{"jacamar: needs one argument: jacamar-auth starts it, so GitLab Runner has to call jacamar-auth"}}),
		called("cleanup without --configuration", func(s *site.Site, r *fakerunner.Runner) { r.Custom.Cleanup = []string{s.Auth, "cleanup"} }, mistake{outcome: success}),
	)
	wrong := func(name, from, to, check string) mistake {
		return mistake{name: name, stanza: [2]string{from, to}, check: check}
	}
	configured := `config_args = ["config","--configuration","FILE"]`
	return append(all, row("config.toml", "",
		wrong("no mistake", "", "", clean),
		wrong("another executor", `executor = "custom"`, `executor = "shell"`, `has executor = "shell"`),
		wrong("no prepare", `prepare_exec`, `# prepare_exec`, "prepare_exec is missing"),
		wrong("no cleanup", `cleanup_exec`, `# cleanup_exec`, "cleanup_exec is missing"),
		wrong("no stage in the arguments", `prepare_args = ["prepare"]`, ``, "must name the stage prepare"),
		wrong("config without --configuration", configured, `config_args = ["config"]`, "config_args lacks --configuration"),
		wrong("cleanup without --configuration", `cleanup_args = ["cleanup","--configuration","FILE"]`, `cleanup_args = ["cleanup"]`, "cleanup_args lacks --configuration"),
		wrong("--configuration first", configured, `config_args = ["--configuration","FILE","config"]`, "must name the stage config"),
		wrong("all in one", configured, `config_args = ["config --configuration FILE"]`, "must name the stage config"),
		wrong("another configuration", configured, `config_args = ["config","--configuration","/etc/passwd"]`, "uses the configuration /etc/passwd"),
		wrong("jacamar instead of jacamar-auth", `run_exec = "AUTH"`, `run_exec = "/opt/jacamar/bin/jacamar"`, "which only jacamar-auth starts"),
		wrong("another path", `run_exec = "AUTH"`, `run_exec = "/usr/bin/jacamar-auth"`, "run_exec is"),
		wrong("graceful_kill_timeout of a second", `[runners.custom]`, "[runners.custom]\ngraceful_kill_timeout = 1", "graceful_kill_timeout = 1"),
		wrong("config_exec_timeout of a second", `[runners.custom]`, "[runners.custom]\nconfig_exec_timeout = 1", "config_exec_timeout = 1"),
		wrong("shutdown_timeout of a second", `shutdown_timeout = 150`, "shutdown_timeout = 1", "shutdown_timeout of 1s"),
		wrong("not TOML", `[[runners]]`, "[[runners]", "config.toml"),
	)...)
}
