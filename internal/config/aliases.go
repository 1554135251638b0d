package config

// alias is another name that a file may use for a key.
type alias struct {
	old, key string
	warn     string // the warning for an administrator who uses it; "" for none
}

// aliases are the names in files of the original. Its documentation has the jwt_ keys
// in two tables, so both are accepted.
var aliases = []alias{
	{old: "auth.jwt_env_variable", key: "general.jwt_env_variable"},
	{old: "auth.jwt_issuer", key: "general.jwt_issuer"},
	{old: "auth.jwt_required_aud", key: "general.jwt_required_aud"},
	{old: "auth.jwt_exp_delay", key: "general.jwt_exp_delay"},
	{old: "batch.ff_slurm_sacct", key: "batch.slurm_sacct", warn: "is the old name of slurm_sacct: write that"},
	{old: "general.unrestricted_cmd_line", warn: "has no effect here, as no token and no variable is ever on a command line: remove it"},
	{old: "general.ff_limit_build_dir", key: "general.limit_build_dir", warn: "is the old name of limit_build_dir: write that"},
	{old: "general.ff_max_build_dir", key: "general.max_build_dir", warn: "is the old name of max_build_dir: write that"},
	{old: "general.ff_uncap_build_dir_cleanup", key: "general.uncap_build_dir_cleanup", warn: "is the old name of uncap_build_dir_cleanup: write that"},
}

// resolveAliases moves values to the names of the schema, so that the rest of the
// program has one name for each.
func (d *decoder) resolveAliases() {
	for _, s := range aliases {
		value, given := take(d.doc, s.old)
		if !given {
			continue
		}
		if s.warn != "" {
			d.warnings = append(d.warnings, Fault{Key: s.old, Text: s.warn})
		}
		if s.key == "" {
			continue
		}
		if !put(d.doc, s.key, value) {
			d.fault(s.old, "the file has %s as well: keep one of the two", s.key)
			continue
		}
		d.written[s.key] = s.old
	}
}

// take removes the value at a path of two keys.
func take(doc map[string]any, path string) (value any, given bool) {
	table, name := split(path)
	from, ok := doc[table].(map[string]any)
	if !ok {
		return nil, false
	}
	value, given = from[name]
	delete(from, name)
	return value, given
}

// put stores a value at a path of two keys unless there is one.
func put(doc map[string]any, path string, value any) bool {
	table, name := split(path)
	if doc[table] == nil {
		doc[table] = map[string]any{}
	}
	to, ok := doc[table].(map[string]any)
	if !ok {
		return true // the table's own fault is reported when it is read
	}
	if _, taken := to[name]; taken {
		return false
	}
	to[name] = value
	return true
}

func split(path string) (table, name string) {
	table = parentOf(path)
	return table, path[len(table)+1:]
}

// Removed returns the keys, and whole tables, of the original that do not exist here,
// each with what a site does instead. They are refused: a site that sets one expects an
// effect of it.
func Removed() map[string]string {
	return map[string]string{
		"auth.enabled":                      "every job is authorized: remove it",
		"auth.gitlab_account":               "the account comes from the token: remove it, or see account_source",
		"auth.runas.validation_plugin":      "there are no plugins: write a program and name it in validation_script",
		"auth.seccomp.disable_no_new_privs": "write no_new_privs under [auth], which is false unless it is set",
		"auth.seccomp.plugin":               "there are no plugins: name the calls in block_calls or allow_calls",
		"auth.seccomp.tl_setting":           "remove it; the rules are block_all, block_calls and allow_calls",
		"auth.tl_setting":                   "remove it; the rules for system calls are in the table seccomp",
		"batch.skip_cobalt_log":             "Cobalt's log is not read here: remove it",
		"general.ff_custom_data_dir":        "write data_dir: an absolute path or $HOME with a path behind it",
	}
}

// advice ends the fault of an unknown key.
func advice(path, name string, known []string) string {
	if text, ok := Removed()[plain(join(path, name))]; ok {
		return ": " + text
	}
	return suggestion(path, name, known)
}
