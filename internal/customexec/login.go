package customexec

import (
	"strings"

	"jacamar-ci/internal/job"
)

// login takes over from the runner's environment what a login takes from the
// system's: the language and the time zone. Both name files to the C library,
// and were ways to make sudo open others (CVE-2014-9680), so only plain names
// pass.
func login(own map[string]string) (env []job.Env) {
	for _, name := range []string{"LANG", "TZ"} {
		pair, err := job.ParseEnv(name + "=" + own[name])
		if err == nil && plain(pair.Value()) {
			env = append(env, pair)
		}
	}
	return env
}

// longestName in bytes; the longest time zone in use has 30.
const longestName = 64

// plain reports whether s is a name such as de_DE.UTF-8@euro, Europe/Berlin or
// CET-1CEST,M3.5.0: never an absolute path, and never one that climbs.
func plain(s string) bool {
	return s != "" && len(s) <= longestName && s[0] != '/' && !strings.Contains(s, "..") && strings.Trim(s, nameCharacters) == ""
}

const nameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+@,./"
