package config

import "maps"

// retired are keys, and whole tables, of the original for which this version
// has nothing, with what a site does in their place. They are refused: a site
// that sets one expects something of it.
var retired = map[string]string{
	"auth.enabled":                      "every job is authorized: remove it",
	"auth.gitlab_account":               "the account comes from the token: remove it, or see account_source",
	"auth.runas.validation_plugin":      "there are no plugins: write a program and name it in validation_script",
	"auth.seccomp.disable_no_new_privs": "write no_new_privs under [auth], which is false unless it is set",
	"auth.seccomp.plugin":               "there are no plugins: name the calls in block_calls or allow_calls",
	"auth.seccomp.tl_setting":           "remove it; the rules are block_all, block_calls and allow_calls",
	"auth.tl_setting":                   "remove it; the rules for system calls are in the table seccomp",
	"batch.skip_cobalt_log":             "Cobalt's log is not read here: remove it",
	"general.charliecloud":              "jobs run in no container here: remove the table",
	"general.ff_custom_data_dir":        "write data_dir: an absolute path or $HOME with a path behind it",
	"general.podman":                    "jobs run in no container here: remove the table",
	"general.run_mechanism":             "jobs run in no container here: remove it",
}

// Retired returns the keys and tables of the original that are refused, with
// what to do in their place.
func Retired() map[string]string {
	keys := keysByPath()
	all := maps.Clone(retired)
	maps.DeleteFunc(all, func(key, _ string) bool { _, known := keys[key]; return known })
	return all
}

// advice ends the fault of an unknown key.
func advice(path, name string, known []string) string {
	if text, ok := retired[plain(join(path, name))]; ok {
		return ": " + text
	}
	return suggestion(path, name, known)
}
