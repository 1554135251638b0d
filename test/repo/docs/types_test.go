package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
)

func TestTypeOf(t *testing.T) {
	for path, want := range map[string]string{
		"general.executor": "string", "general.kill_timeout": "duration", "general.gitlab_server": "URL", "general.tls-ca-file": "path",
		"general.https_proxy": "URL", "general.user_bash_env": "list of strings", "general.max_build_dir": "integer",
		"auth.shell_allowlist": "list of paths", "auth.runner_ids": "list of integers", "auth.seccomp.block_calls": "list of strings",
		"auth.min_uid": "integer", "auth.runas.sha256": "string", "container.cache_size": "size", "auth.limits.nofile": "string",
		"batch.rule.ref_protected": "boolean", "batch.rule.args": "list of strings", "batch.command_delay": "duration",
		"auth.nothing": "no such key: auth.nothing", "batch.rule.args.more": "no such key: batch.rule.args.more", "gen": "no such key: gen",
	} {
		if got := typeOf(config.Key{Path: path}); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	for _, k := range config.Reference() {
		name := strings.TrimSuffix(strings.TrimPrefix(typeOf(k), "list of "), "s")
		if !slices.Contains([]string{"string", "boolean", "integer", "duration", "path", "size", "URL"}, name) {
			t.Errorf("%s has the type %q", k.Path, name)
		}
	}
}

// TestExamplesHaveTheirTypes: the type of a key shows whether its value has quotes.
func TestExamplesHaveTheirTypes(t *testing.T) {
	forms := map[string]*regexp.Regexp{"boolean": regexp.MustCompile(`^(true|false)$`), "integer": regexp.MustCompile(`^[0-9]+$`)}
	for _, k := range config.Reference() {
		kind := typeOf(k)
		form := forms[kind]
		switch {
		case strings.HasPrefix(kind, "list of "):
			form = regexp.MustCompile(`^\[`)
		case form == nil:
			form = regexp.MustCompile(`^"`)
		}
		if _, value, _ := strings.Cut(k.Example, " = "); !form.MatchString(value) {
			t.Errorf("%s has the type %s, and the example %s", k.Path, kind, value)
		}
	}
}
