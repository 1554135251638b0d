package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jwks"
	"jacamar-ci/internal/settings"
)

// check compares values of the right types with each other. It is skipped when one of
// the keys it compares has a fault already.
type check struct {
	compares []string
	run      func(*Config, *findings)
}

// checks are run in order, and all of them: their faults are reported together.
var checks = []check{
	{run: checkValues},
	{[]string{"general.jwks_max_age", "general.jwks_stale_max"}, checkKeyAges},
	{[]string{"general.gitlab_server", "general.jwks_url", "general.insecure_loopback_http"}, checkKeyServer},
	{[]string{"general.executor", "general.kill_timeout", "batch.cancel_grace"}, checkCancelGrace},
	{[]string{"general.data_dir", "general.variable_data_dir"}, checkDataDir},
	{[]string{"general.data_dir", "general.variable_data_dir", "general.custom_build_dir"}, checkRootDir},
	{[]string{"general.static_builds_dir", "general.limit_build_dir"}, checkStatic},
	{[]string{"auth.account_source", "auth.account_provider", "auth.account_map"}, checkAccountSource},
	{run: checkRunAs},
	{[]string{"auth.logging.location"}, checkRemoteLog},
	{run: checkEnvNames},
	{[]string{"auth.no_new_privs", "auth.seccomp.disabled", "auth.seccomp.block_all", "auth.seccomp.block_calls", "auth.seccomp.allow_calls"}, checkSeccomp},
	{run: checkLimits},
	{[]string{"auth.journal.enabled"}, checkConcurrency},
	{[]string{"general.executor", "general.run_mechanism", "container.temp_dir", "container.cache_dir"}, checkContainer},
}

// run adds the faults that a table of checks finds to those already known.
func run(table []check, c *Config, known []Fault) []Fault {
	all := findings(known)
	for _, one := range table {
		if !slices.ContainsFunc(one.compares, all.has) {
			one.run(c, &all)
		}
	}
	return all
}

// firstDynamicUID ends the ids that distributions give out by hand (LSB 23.2,
// Debian policy 9.2.2).
const firstDynamicUID = 100

// checkValues refuses single values: zero where it would mean at once or indefinitely, and an
// empty list that nothing could match.
func checkValues(c *Config, f *findings) {
	f.when(c.General.KillTimeout == 0, "general.kill_timeout", "may not be zero")
	f.when(c.General.JWKSMaxAge == 0, "general.jwks_max_age", "may not be zero")
	f.when(c.Batch.CommandDelay == 0, "batch.command_delay", "may not be zero")
	f.when(c.Auth.MinUID < firstDynamicUID, "auth.min_uid", "%d is too low: ids below %d belong to the system", c.Auth.MinUID, firstDynamicUID)
	f.when(empty(c.Auth.RunnerIDs), "auth.runner_ids", "is empty: name the runners or remove it")
	for i, rule := range c.Batch.Rules {
		f.when(len(rule.Args) == 0, entryKey("batch.rule", i)+".args", "is empty: name the arguments or remove the rule")
	}
}

func empty[T any](l List[T]) bool { return l.Set && len(l.Items) == 0 }

// longestWait is less than the runner's default for config_exec_timeout, an hour.
const longestWait = 55 * time.Minute

func checkConcurrency(c *Config, f *findings) {
	const needs = "needs the journal: remove auth.journal.enabled = false"
	limits, off := c.Auth.Concurrency, !c.Auth.Journal.Enabled
	f.when(off && limits.PerAccount > 0, "auth.concurrency.per_account", needs)
	f.when(off && limits.PerProject > 0, "auth.concurrency.per_project", needs)
	f.when(off && limits.Total > 0, "auth.concurrency.total", needs)
	f.when(limits.Wait > longestWait, "auth.concurrency.wait",
		"%v is too long: it is at most %v, as the runner ends a config stage after an hour", limits.Wait, longestWait)
}

func checkKeyAges(c *Config, f *findings) {
	g := &c.General
	f.when(g.JWKSStaleMax < g.JWKSMaxAge, "general.jwks_stale_max",
		"%v is shorter than jwks_max_age (%v)", g.JWKSStaleMax, g.JWKSMaxAge)
}

// checkKeyServer refuses an address at which any local user could publish keys, by which
// users are identified.
func checkKeyServer(c *Config, f *findings) {
	g := &c.General
	err := jwks.CheckURL(g.keyServer(), jwks.ReservedPorts, g.InsecureLoopbackHTTP)
	f.when(err != nil, g.keyServerKey(), "%v (insecure_loopback_http = true accepts it, for a test)", err)
}

func (g *General) keyServer() *url.URL { return jwks.KeySetURL(g.GitLabServer, g.JWKSURL) }

// keyServerKey is the key that the address of the keys comes from.
func (g *General) keyServerKey() string {
	if g.JWKSURL != nil {
		return "general.jwks_url"
	}
	return "general.gitlab_server"
}

// checkCancelGrace keeps the order of the ends: jacamar must still be alive to
// cancel the batch job when its grace is over.
func checkCancelGrace(c *Config, f *findings) {
	f.when(c.General.Executor != settings.Shell && c.Batch.CancelGrace >= c.General.KillTimeout, "batch.cancel_grace",
		"%v is not shorter than kill_timeout (%v)", c.Batch.CancelGrace, c.General.KillTimeout)
}

func checkDataDir(c *Config, f *findings) {
	g := &c.General
	f.when(g.DataDir.HasVariables() && !g.VariableDataDir, "general.data_dir",
		"%q has a variable: set variable_data_dir = true to have it from users' login shells", g.DataDir)
}

// checkRootDir keeps root out of every directory that another account can write or
// name.
func checkRootDir(c *Config, f *findings) {
	if !c.Auth.RootDirCreation {
		return
	}
	g, key := &c.General, "auth.root_dir_creation"
	f.when(g.CustomBuildDir, key, "cannot be used together with custom_build_dir: root makes no directory that a user names")
	f.when(g.DataDir.BelowHome(), key, "needs an absolute data_dir: users can write their homes")
	f.when(g.VariableDataDir, key, "cannot be used together with variable_data_dir: root uses no path from a user's shell")
}

func checkStatic(c *Config, f *findings) {
	g := &c.General
	f.when(g.StaticBuildsDir && g.LimitBuildDir, "general.static_builds_dir",
		"cannot be used together with limit_build_dir: one gives every job a directory of its own, the other makes jobs share a few")
}

func checkAccountSource(c *Config, f *findings) {
	a := &c.Auth
	for _, k := range []struct {
		key, name string
		source    settings.AccountSource
		set       bool
	}{
		{"auth.account_provider", "account_provider", settings.ExternUID, a.AccountProvider != ""},
		{"auth.account_map", "account_map", settings.Map, !a.AccountMap.IsZero()},
	} {
		f.when(k.source == a.AccountSource && !k.set, "auth.account_source", "%q needs %s", k.source, k.name)
		f.when(k.source != a.AccountSource && k.set, k.key, "is for account_source = %q only, which is %q here", k.source, a.AccountSource)
	}
}

// checkRunAs refuses a table without the script, which would look as if RunAs
// were on.
func checkRunAs(c *Config, f *findings) {
	r := &c.Auth.RunAs
	set := r.UserVariable != "" || r.SHA256 != "" || r.ValidationEnv != nil || r.Federated != ""
	f.when(set && r.ValidationScript.IsZero(), "auth.runas.validation_script", "missing: the other keys of [auth.runas] need it")
}

func checkRemoteLog(c *Config, f *findings) {
	l := &c.Auth.Logging
	if l.Network == "" && l.Address == "" {
		return
	}
	f.when(l.Location.Journal || !l.Location.File.IsZero(), "auth.logging.location", "is %q, and a network and an address are for syslog only", l.Location)
	f.when(l.Network != "udp" && l.Network != "tcp", "auth.logging.network", `is %q: write "udp" or "tcp", together with an address`, l.Network)
	if bad := badAddress(l.Address); bad != "" {
		f.add(Fault{Key: "auth.logging.address", Text: fmt.Sprintf("%q %s", job.Clip(l.Address), bad), Value: l.Address})
	}
}

// badAddress returns why records cannot be sent to an address, "" where they can. A
// host name would need a resolver in the privileged program, in every stage.
func badAddress(address string) string {
	if to, err := netip.ParseAddrPort(address); err == nil && to.Port() > 0 {
		return ""
	}
	if host, port := SplitHostPort(address); host != "" {
		return fmt.Sprintf("has a host name, and names are not looked up for a record: write its address, as in \"192.0.2.7:%s\" or \"[2001:db8::7]:%[1]s\" (`getent ahosts %s` prints it)", port, host)
	}
	return `is not ADDRESS:PORT, such as "192.0.2.7:514" or "[2001:db8::7]:514"`
}

// SplitHostPort takes a host name and a port number apart; host is "" where the text
// has another form.
func SplitHostPort(text string) (host, port string) {
	host, port, _ = strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	_, numeric := netip.ParseAddr(host)
	if err != nil || n == 0 || numeric == nil || host == "" || strings.Trim(host, hostNameChars) != "" || host[0] == '-' {
		return "", ""
	}
	return host, port
}

// hostNameChars are those of host names (RFC 1123 section 2.1).
const hostNameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."

// checkEnvNames refuses a name that is set twice: which one applies would be a guess.
func checkEnvNames(c *Config, f *findings) {
	for _, list := range []struct {
		key   string
		pairs []job.Env
	}{
		{"general.user_bash_env", c.General.UserBashEnv},
		{"auth.runas.validation_env", c.Auth.RunAs.ValidationEnv},
		{"batch.env_vars", c.Batch.EnvVars},
	} {
		seen := map[string]bool{}
		for i, pair := range list.pairs {
			f.when(pair != job.Env{} && seen[pair.Name()], entryKey(list.key, i), "%s is set twice", pair.Name())
			seen[pair.Name()] = true
		}
	}
}

// entryKey is the key of entry i, counted from zero, of an array.
func entryKey(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i+1) }
