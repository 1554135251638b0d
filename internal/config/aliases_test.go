package config

import (
	"strings"
	"testing"
)

const site = `[general]
executor = "shell"
data_dir = "$HOME"
gitlab_server = "https://gitlab.example.com"
[auth]
downscope = "setuid"
[auth.logging]
enabled = true
`

// TestRemoved: each is refused with what to do, and nothing else is wrong.
func TestRemoved(t *testing.T) {
	if _, err := parse(site); err != nil {
		t.Fatal(err)
	}
	for key, advice := range Removed() {
		t.Run(key, func(t *testing.T) {
			table, name := split(key)
			// The table may be there already; dotted keys reach it all the same.
			text := strings.Replace(site, "["+table+"]\n", "["+table+"]\n"+name+" = \"x\"\n", 1)
			if text == site {
				text += "[" + table + "]\n" + name + " = \"x\"\n"
			}
			_, err := parse(text)
			if err == nil || !strings.Contains(err.Error(), advice) {
				t.Errorf("got %v, want %q", err, advice)
			}
		})
	}
}

func TestNoEffect(t *testing.T) {
	c, err := parse(strings.Replace(site, "[auth]\n", "unrestricted_cmd_line = false\n[auth]\n", 1))
	if err != nil || len(c.Warnings) != 1 || c.Warnings[0].Key != "general.unrestricted_cmd_line" {
		t.Errorf("%v, %v", err, c.Warnings)
	}
}

// original are the keys that the documentation and the sites of the original
// name.
var original = map[string][]string{
	"general": {
		"executor", "data_dir", "retain_logs", "name", "kill_timeout", "shell_path", "job_message", "gitlab_server", "tls-ca-file",
		"user_bash_env", "ff_limit_build_dir", "run_mechanism", "unrestricted_cmd_line", "ff_custom_data_dir",
		"jwt_env_variable", "jwt_required_aud", "jwt_exp_delay",
		"variable_data_dir", "custom_build_dir", "group_permissions", "limit_build_dir", "max_build_dir", "uncap_build_dir_cleanup", "file_lock_debug",
		"static_builds_dir", "static_builds_days",
	},
	"auth": {
		"enabled", "downscope", "jacamar_path", "user_allowlist", "user_blocklist", "groups_allowlist", "groups_blocklist", "shell_allowlist",
		"pipeline_source_allowlist", "lists_pre_validation", "enforce_nologin", "jwt_env_variable", "jwt_exp_delay", "allow_bot_accounts",
		"max_env_chars", "gitlab_account", "tl_setting", "no_new_privs",
		"root_dir_creation",
	},
	"general.podman": {
		"application_path", "runner_image", "runner_options", "runner_entry_point", "default_image", "custom_options", "user_entry_point", "step_script_only",
		"disable_container_removal", "image_pull_policy",
	},
	"general.charliecloud": {
		"application_path", "runner_image", "runner_options", "runner_entry_point", "default_image", "custom_options", "user_entry_point", "step_script_only",
	},
	"auth.runas":   {"validation_script", "user_variable", "sha256", "validation_env", "federated", "validation_plugin"},
	"auth.logging": {"enabled", "level", "location", "network", "address"},
	"auth.seccomp": {"disabled", "block_all", "block_calls", "allow_calls", "plugin", "disable_no_new_privs", "tl_setting"},
	"batch": {
		"arguments_variable", "allow_illegal_args", "ff_slurm_sacct", "slurm_sacct", "command_delay", "nfs_timeout", "scheduler_bin", "env_vars",
		"skip_cobalt_log",
	},
}

// TestEveryKeyOfTheOriginal is taken, or refused with what to do.
func TestEveryKeyOfTheOriginal(t *testing.T) {
	keys := keysByPath()
	for _, s := range aliases {
		keys[s.old] = Key{}
	}
	for key := range Removed() {
		keys[key] = Key{}
	}
	for table, names := range original {
		for _, name := range names {
			if _, known := keys[table+"."+name]; !known {
				t.Errorf("%s.%s of the original is unknown here", table, name)
			}
		}
	}
}
