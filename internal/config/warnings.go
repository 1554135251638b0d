package config

import (
	"strings"
	"unicode"

	"jacamar-ci/internal/glob"
)

// warnPatterns finds patterns of another language, which match no project.
func warnPatterns(c *Config, f *findings) {
	type entry struct {
		key     string
		pattern glob.Pattern
	}
	var all []entry
	for i, p := range c.Auth.ProjectAllowlist.Items {
		all = append(all, entry{entryKey("auth.project_allowlist", i), p})
	}
	for i, p := range c.Auth.ProjectBlocklist.Items {
		all = append(all, entry{entryKey("auth.project_blocklist", i), p})
	}
	for i, r := range c.Batch.Rules {
		rule := entryKey("batch.rule", i)
		all = append(all, entry{rule + ".project", r.Project}, entry{rule + ".namespace", r.Namespace})
	}
	for _, e := range all {
		f.when(!e.pattern.IsZero() && !mayMatch(e.pattern.String()), e.key,
			"%q matches no project: paths have no such characters; \"hpc/*\" is every project in the group hpc, \"hpc/**\" also those of its subgroups", e.pattern)
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

// warnLiteral: batch.env_vars are for commands, and user_bash_env is taken as it stands.
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
