package config

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/settings"
)

// warnings look at what is valid and seldom meant.
var warnings = []check{
	{"no log", nil, warnNoLog},
	{"keys over http", nil, warnKeyServer},
	{"empty allowlists", nil, warnEmptyAllowlists},
	{"lists that overlap", nil, warnOverlap},
	{"pipeline sources", nil, warnSources},
	{"keys without effect", nil, warnNoEffect},
	{"busy polling", nil, warnPolling},
	{"confinement", nil, warnConfinement},
	{"blanks", nil, warnBlank},
}

func warnNoLog(c *Config) []Fault {
	return when(!c.Auth.Logging.Enabled, "auth.logging.enabled", "is false: no decision of jacamar-auth is recorded")
}

func warnKeyServer(c *Config) []Fault {
	g := &c.General
	u := g.keyServer()
	insecure := jwks.CheckURL(u, jwks.ReservedPorts, false) != nil
	return slices.Concat(
		when(insecure, "general.insecure_loopback_http", "is true: any user of this machine who gets the port of %s decides who is who", u.Host),
		when(g.InsecureLoopbackHTTP && !insecure, "general.insecure_loopback_http", "has no effect: %s needs none", g.keyServerKey()),
		when(g.HTTPSProxy.URL() != nil && u.Scheme != "https", "general.https_proxy", "has no effect: the keys are at an http address"),
	)
}

func warnEmptyAllowlists(c *Config) (faults []Fault) {
	a := &c.Auth
	for _, l := range []struct {
		key   string
		empty bool
	}{
		{"auth.user_allowlist", empty(a.UserAllowlist)},
		{"auth.groups_allowlist", empty(a.GroupsAllowlist)},
		{"auth.shell_allowlist", empty(a.ShellAllowlist)},
		{"auth.pipeline_source_allowlist", empty(a.PipelineSourceAllowlist)},
		{"auth.project_allowlist", empty(a.ProjectAllowlist)},
	} {
		faults = append(faults, when(l.empty, l.key, "is set and empty: it matches nothing")...)
	}
	return faults
}

func empty[T any](l List[T]) bool { return l.Set && len(l.Items) == 0 }

func warnOverlap(c *Config) []Fault {
	a := &c.Auth
	return slices.Concat(
		overlap("auth.user_blocklist", a.UserBlocklist.Items, a.UserAllowlist.Items, "user_allowlist as well, which is asked first: it is allowed"),
		overlap("auth.groups_blocklist", a.GroupsBlocklist.Items, a.GroupsAllowlist.Items, "groups_allowlist as well, which is asked first: it is allowed"),
		overlap("auth.project_allowlist", a.ProjectAllowlist.Items, a.ProjectBlocklist.Items, "project_blocklist as well, which wins: it is blocked"),
	)
}

func overlap[T comparable](key string, losing, winning []T, what string) (faults []Fault) {
	for i, item := range losing {
		faults = append(faults, when(slices.Contains(winning, item), entryKey(key, i), "%v is in %s", item, what)...)
	}
	return faults
}

// sources are the values of CI_PIPELINE_SOURCE and of the pipeline_source claim
// (docs.gitlab.com/ci/jobs/job_rules, and Enums::Ci::Pipeline in GitLab).
var sources = []Source{
	"api", "chat", "container_registry_push", "duo_workflow", "external", "external_pull_request_event", "merge_request_event",
	"ondemand_dast_scan", "ondemand_dast_validation", "parent_pipeline", "pipeline", "pipeline_execution_policy_schedule", "push", "schedule",
	"security_orchestration_policy", "trigger", "web", "webide",
}

// warnSources only warns: GitLab adds sources from time to time.
func warnSources(c *Config) (faults []Fault) {
	for i, s := range c.Auth.PipelineSourceAllowlist.Items {
		faults = append(faults, when(!slices.Contains(sources, s), entryKey("auth.pipeline_source_allowlist", i), "%q is no source that GitLab was known to have", s)...)
	}
	return faults
}

func warnNoEffect(c *Config) []Fault {
	a, g := &c.Auth, &c.General
	runas := !a.RunAs.ValidationScript.IsZero()
	return slices.Concat(
		when(a.ListsPreValidation && !runas, "auth.lists_pre_validation", "has no effect without [auth.runas]"),
		when(a.AllowBotAccounts && !runas && a.AccountSource != settings.Map, "auth.allow_bot_accounts", "has no effect without [auth.runas] or account_source = %q: a bot's own name is never used", settings.Map),
		when(g.VariableDataDir && !g.DataDir.HasVariables(), "general.variable_data_dir", "has no effect: data_dir has no variable but $HOME"),
		when(g.MaxBuildDir > 0 && !g.LimitBuildDir, "general.max_build_dir", "has no effect without limit_build_dir"),
		when(g.UncapBuildDirCleanup && g.MaxBuildDir == 0, "general.uncap_build_dir_cleanup", "has no effect without max_build_dir"),
		when(a.RootDirCreation && a.Downscope != settings.Setuid, "auth.root_dir_creation", "has no effect unless downscope is %q", settings.Setuid),
	)
}

// politeDelay is how often a scheduler is asked about one job at the most
// before its administrators notice, by what sites themselves configure.
const politeDelay = 5 * time.Second

func warnPolling(c *Config) []Fault {
	return when(c.Batch.CommandDelay < politeDelay, "batch.command_delay", "%v is a burden for the scheduler: use %v or more", c.Batch.CommandDelay, politeDelay)
}

// warnBlank: the runner's scripts do not quote the path of a local cache.
func warnBlank(c *Config) []Fault {
	dir := c.General.DataDir.String()
	return when(strings.ContainsFunc(dir, unicode.IsSpace), "general.data_dir", "%q has a blank in it: GitLab Runner cannot use local caches below it", dir)
}
