package config

// spelling is another name under which a key may stand in a file.
type spelling struct {
	old, key string
	warn     string // what to tell an administrator who uses it; "" for nothing
}

// spellings are the names that the original's files use. Which table the jwt_
// keys belong to is not certain there, so both are taken.
var spellings = []spelling{
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

// respell moves values to the names of the schema, so that the rest of the
// program knows one name for each.
func (d *decoder) respell(doc map[string]any) {
	for _, s := range spellings {
		value, given := take(doc, s.old)
		if !given {
			continue
		}
		if s.warn != "" {
			d.warnings = append(d.warnings, Fault{Key: s.old, Text: s.warn})
		}
		if s.key == "" {
			continue
		}
		if !put(doc, s.key, value) {
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
