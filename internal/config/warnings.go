package config

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"jacamar-ci/internal/glob"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/settings"
)

// warnings find what is valid and seldom intended.
var warnings = []check{
	{run: warnValues},
	{run: warnKeyServer},
	{run: warnEmptyAllowlists},
	{run: warnOverlap},
	{run: warnSources},
	{run: warnNoEffect},
	{run: warnConfinement},
	{run: warnPatterns},
	{run: warnLiteral},
	{run: warnJoined},
	{run: warnContainer},
}

// politeDelay is the shortest interval of queries about one job that sites themselves
// configure for their schedulers.
const politeDelay = 5 * time.Second

// warnValues finds single values. The runner's scripts do not quote the path of a local cache.
func warnValues(c *Config, f *findings) {
	dir := c.General.DataDir.String()
	f.when(!c.Auth.Logging.Enabled, "auth.logging.enabled", "is false: no decision of jacamar-auth is recorded")
	f.when(c.Batch.CommandDelay < politeDelay, "batch.command_delay", "%v is a burden for the scheduler: use %v or more", c.Batch.CommandDelay, politeDelay)
	f.when(strings.ContainsFunc(dir, unicode.IsSpace), "general.data_dir", "%q has a blank in it: GitLab Runner cannot use local caches below it", dir)
}

func warnKeyServer(c *Config, f *findings) {
	g := &c.General
	u := g.keyServer()
	insecure := jwks.CheckURL(u, jwks.ReservedPorts, false) != nil
	f.when(insecure, "general.insecure_loopback_http", "is true: any user of this machine who gets the port of %s can act as any other", u.Host)
	f.when(g.InsecureLoopbackHTTP && !insecure, "general.insecure_loopback_http", "has no effect: %s needs none", g.keyServerKey())
	f.when(g.HTTPSProxy.URL() != nil && u.Scheme != "https", "general.https_proxy", "has no effect: the keys are at an http address")
}

func warnEmptyAllowlists(c *Config, f *findings) {
	a := &c.Auth
	const text = "is set and empty: it matches nothing"
	f.when(empty(a.UserAllowlist), "auth.user_allowlist", text)
	f.when(empty(a.GroupsAllowlist), "auth.groups_allowlist", text)
	f.when(empty(a.ShellAllowlist), "auth.shell_allowlist", text)
	f.when(empty(a.PipelineSourceAllowlist), "auth.pipeline_source_allowlist", text)
	f.when(empty(a.ProjectAllowlist), "auth.project_allowlist", text)
}

func warnOverlap(c *Config, f *findings) {
	a := &c.Auth
	overlap(f, "auth.user_blocklist", a.UserBlocklist.Items, a.UserAllowlist.Items, "user_allowlist as well, which applies first: it is allowed")
	overlap(f, "auth.groups_blocklist", a.GroupsBlocklist.Items, a.GroupsAllowlist.Items, "groups_allowlist as well, which applies first: it is allowed")
	overlap(f, "auth.project_allowlist", a.ProjectAllowlist.Items, a.ProjectBlocklist.Items, "project_blocklist as well, which wins: it is blocked")
}

func overlap[T comparable](f *findings, key string, losing, winning []T, what string) {
	for i, item := range losing {
		f.when(slices.Contains(winning, item), entryKey(key, i), "%v is in %s", item, what)
	}
}

// sources are the values of CI_PIPELINE_SOURCE and of the pipeline_source claim
// (docs.gitlab.com/ci/jobs/job_rules, and Enums::Ci::Pipeline in GitLab).
var sources = []Source{
	"api", "chat", "container_registry_push", "duo_workflow", "external", "external_pull_request_event", "merge_request_event",
	"ondemand_dast_scan", "ondemand_dast_validation", "parent_pipeline", "pipeline", "pipeline_execution_policy_schedule", "push", "schedule",
	"security_orchestration_policy", "trigger", "web", "webide",
}

// warnSources only warns: GitLab adds sources from time to time.
func warnSources(c *Config, f *findings) {
	for i, s := range c.Auth.PipelineSourceAllowlist.Items {
		f.when(!slices.Contains(sources, s), entryKey("auth.pipeline_source_allowlist", i), "%q is no known source of GitLab", s)
	}
}

func warnNoEffect(c *Config, f *findings) {
	a, g := &c.Auth, &c.General
	runas := !a.RunAs.ValidationScript.IsZero()
	f.when(a.ListsPreValidation && !runas, "auth.lists_pre_validation", "has no effect without [auth.runas]")
	f.when(a.AllowBotAccounts && !runas && a.AccountSource != settings.Map, "auth.allow_bot_accounts", "has no effect without [auth.runas] or account_source = %q: a bot's own name is never used", settings.Map)
	f.when(g.VariableDataDir && !g.DataDir.HasVariables(), "general.variable_data_dir", "has no effect: data_dir has no variable but $HOME")
	f.when(g.MaxBuildDir > 0 && !g.LimitBuildDir, "general.max_build_dir", "has no effect without limit_build_dir")
	f.when(g.UncapBuildDirCleanup && g.MaxBuildDir == 0, "general.uncap_build_dir_cleanup", "has no effect without max_build_dir")
	f.when(a.RootDirCreation && a.Downscope != settings.Setuid, "auth.root_dir_creation", "has no effect unless downscope is %q", settings.Setuid)
}

// warnPatterns finds patterns of another language, which match no project.
func warnPatterns(c *Config, f *findings) {
	judge := func(key string, p glob.Pattern) {
		f.when(!p.IsZero() && !mayMatch(p.String()), key,
			"%q matches no project: paths have no such characters; \"hpc/*\" is every project in the group hpc, \"hpc/**\" also those of its subgroups", p)
	}
	for i, p := range c.Auth.ProjectAllowlist.Items {
		judge(entryKey("auth.project_allowlist", i), p)
	}
	for i, p := range c.Auth.ProjectBlocklist.Items {
		judge(entryKey("auth.project_blocklist", i), p)
	}
	for i, r := range c.Batch.Rules {
		judge(entryKey("batch.rule", i)+".project", r.Project)
		judge(entryKey("batch.rule", i)+".namespace", r.Namespace)
	}
}

// mayMatch reports whether the literal characters of a pattern can be in a path of
// GitLab: letters, digits, "_", "-" and "." (docs.gitlab.com/user/reserved_names).
func mayMatch(pattern string) bool {
	inSet := false
	for _, r := range pattern {
		switch {
		case r == '[':
			inSet = true
		case r == ']':
			inSet = false
		case inSet || strings.ContainsRune("_-./*?", r) || unicode.IsLetter(r) || unicode.IsDigit(r):
		default:
			return false
		}
	}
	return !strings.Contains("/"+pattern, "/.*")
}

// warnLiteral finds a $ in user_bash_env, whose values are set as they stand.
func warnLiteral(c *Config, f *findings) {
	for i, e := range c.General.UserBashEnv {
		f.when(strings.Contains(e.Value(), "$"), entryKey("general.user_bash_env", i),
			"%s is set to %q as it stands: $ is not expanded; set it in a login profile of this host, such as a file in /etc/profile.d", e.Name(), e.Value())
	}
}

// warnJoined finds two arguments in one entry.
func warnJoined(c *Config, f *findings) {
	check := func(key string, args []string) {
		for i, a := range args {
			options := 0
			for _, word := range strings.Fields(a) {
				if strings.HasPrefix(word, "-") {
					options++
				}
			}
			f.when(options > 1, entryKey(key, i), "%q is one argument with a blank in it, not several", a)
		}
	}
	check("batch.default_args", c.Batch.DefaultArgs)
	for i, r := range c.Batch.Rules {
		check(entryKey("batch.rule", i)+".args", r.Args)
	}
}
