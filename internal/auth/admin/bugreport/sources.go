package bugreport

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/config"
)

// Settings are the effective settings as text. The values of variables are left out, as
// sites pass secrets by them; their names are not.
func Settings(all []config.Setting, secrets *Secrets) string {
	var out strings.Builder
	for _, s := range all {
		value := s.Value
		if slices.Contains(variableKeys, s.Key) {
			value = namesOnly(value, secrets)
		}
		switch s.From {
		case config.Unset:
			fmt.Fprintf(&out, "# %s: %s\n", s.Key, s.Otherwise)
		case config.FromFile, config.FromDefault, config.FromServer:
			fmt.Fprintf(&out, "%s = %s  # %s %d\n", s.Key, value, s.From, s.Line)
		}
	}
	return out.String()
}

// variableKeys have lists of "NAME=value".
var variableKeys = []string{"general.user_bash_env", "auth.runas.validation_env", "batch.env_vars"}

func namesOnly(list string, secrets *Secrets) string {
	var doc struct{ X []string }
	if _, err := toml.Decode("x = "+list, &doc); err != nil {
		return removed
	}
	var names []string
	for _, pair := range doc.X {
		name, value, _ := strings.Cut(pair, "=")
		secrets.Add(value)
		names = append(names, name+"="+removed)
	}
	return fmt.Sprintf("%q", names)
}

// Runner is the runner's config.toml with the keys that are known to have no secret. All
// others, such as tokens, environments and keys of caches, are secrets to take out.
func Runner(text string, secrets *Secrets) string {
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		return "it is not valid TOML\n"
	}
	return strings.Join(shown("", doc, secrets), "\n") + "\n"
}

// runnerKeys are the keys that are shown, without the numbers of runners.
var runnerKeys = []string{
	"concurrent", "check_interval", "shutdown_timeout", "log_level", "log_format",
	"runners.name", "runners.url", "runners.tls-ca-file", "runners.executor", "runners.limit", "runners.request_concurrency", "runners.output_limit", "runners.builds_dir", "runners.cache_dir", "runners.shell",
	"runners.custom.config_exec", "runners.custom.config_args", "runners.custom.config_exec_timeout",
	"runners.custom.prepare_exec", "runners.custom.prepare_args", "runners.custom.prepare_exec_timeout",
	"runners.custom.run_exec", "runners.custom.run_args",
	"runners.custom.cleanup_exec", "runners.custom.cleanup_args", "runners.custom.cleanup_exec_timeout",
	"runners.custom.graceful_kill_timeout", "runners.custom.force_kill_timeout",
}

// shown lists the values that may be shown, and adds the others to the secrets.
func shown(path string, value any, secrets *Secrets) (lines []string) {
	switch v := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, shown(strings.TrimPrefix(path+"."+name, "."), v[name], secrets)...)
		}
	case []map[string]any:
		for i, entry := range v {
			lines = append(lines, fmt.Sprintf("# %s %d", path, i+1))
			lines = append(lines, shown(path, entry, secrets)...)
		}
	default:
		if slices.Contains(runnerKeys, path) {
			return []string{path + " = " + plainValue(path, v, secrets)}
		}
		lines = append(lines, path+" = "+removed)
		hide(v, secrets)
	}
	return lines
}

// plainValue is a value as TOML has it. Arguments are shown where they are words of
// jacamar-auth's command line, or paths.
func plainValue(path string, value any, secrets *Secrets) string {
	if list, ok := value.([]any); ok && strings.HasSuffix(path, "_args") {
		for i, item := range list {
			if text, _ := item.(string); !slices.Contains(stageWords, text) && !strings.HasPrefix(text, "/") {
				hide(item, secrets)
				list[i] = removed
			}
		}
	}
	text, err := json.Marshal(value)
	if err != nil {
		return removed
	}
	return string(text)
}

var stageWords = []string{"config", "prepare", "run", "cleanup", "-u", "--unobfuscated", "--no-auth", "--configuration"}

func hide(value any, secrets *Secrets) {
	switch v := value.(type) {
	case string:
		secrets.Add(v)
		if _, after, pair := strings.Cut(v, "="); pair {
			secrets.Add(after) // an entry of environment
		}
	case []any:
		for _, item := range v {
			hide(item, secrets)
		}
	case map[string]any:
		for _, item := range v {
			hide(item, secrets)
		}
	}
}

// recordFields are the fields of the operator's log that are shown, with its reasons.
var recordFields = []string{
	"time", "level", "event", "msg", "seq", "call", "call_seq", "stage", "sub_stage", "job", "pipeline", "project_id", "user_id", "uid", "runner",
	"decision", "rule", "outcome", "exit", "exit_code", "duration", "reason", "fault",
}

// Records are the last lines of the operator's log, at most most, without the names of
// users, accounts and projects. A line that is no record is left out.
func Records(log string, most int) string {
	var kept []string
	for line := range strings.Lines(log) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) != nil {
			continue
		}
		maps.DeleteFunc(record, func(name string, _ any) bool { return !slices.Contains(recordFields, name) })
		text, _ := json.Marshal(record) // what was decoded can be encoded
		kept = append(kept, string(text))
	}
	return strings.Join(kept[max(0, len(kept)-most):], "\n") + "\n"
}

// Unit is a unit file, or a drop-in, without the values of its environment.
func Unit(text string, secrets *Secrets) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), "=")
		if found && (name == "Environment" || name == "SetCredential" || name == "LoadCredential") {
			for _, word := range strings.Fields(value) {
				if _, v, pair := strings.Cut(strings.Trim(word, `"'`), "="); pair {
					secrets.Add(v)
				}
			}
			line = name + "=" + removed + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}
