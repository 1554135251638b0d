package fakerunner

import (
	"os"
	"strconv"
	"strings"
)

// featureFlags are the runner's defaults for the flags that a custom executor
// driver or its scripts can observe.
var featureFlags = []Variable{
	flag("FF_TIMESTAMPS", true), flag("FF_USE_LEGACY_BASH_EVAL", false),
	flag("FF_ENABLE_BASH_EXIT_CODE_CHECK", false), flag("FF_POSIXLY_CORRECT_ESCAPES", false),
	flag("FF_SCRIPT_SECTIONS", false), flag("FF_ENABLE_JOB_CLEANUP", false),
	flag("FF_CLEAN_UP_FAILED_CACHE_EXTRACT", false), flag("FF_HASH_CACHE_KEYS", false),
	flag("FF_GIT_URLS_WITHOUT_TOKENS", false), flag("FF_USE_GIT_NATIVE_CLONE", false),
	flag("FF_USE_EXPONENTIAL_BACKOFF_STAGE_RETRY", true), flag("FF_DISABLE_POWERSHELL_STDIN", false),
	flag("FF_USE_POWERSHELL_PATH_RESOLVER", false), flag("FF_MASK_ALL_DEFAULT_TOKENS", true),
	flag("FF_USE_DYNAMIC_TRACE_FORCE_SEND_INTERVAL", false), flag("FF_SECRET_RESOLVING_FAILS_IF_MISSING", true),
}

func flag(key string, on bool) Variable {
	return Variable{Key: key, Value: strconv.FormatBool(on), Public: true}
}

// variables is a job's variables in order of definition; of two with one name
// the last counts.
type variables []Variable

func (vs variables) lookup(key string) (Variable, bool) {
	for i := len(vs) - 1; i >= 0; i-- {
		if vs[i].Key == key {
			return vs[i], true
		}
	}
	return Variable{}, false
}

// expand replaces $NAME and ${NAME} once, by values as they were defined. A
// file variable is expanded to its path.
func (vs variables) expand(temp string) variables {
	values := make(map[string]string, len(vs))
	for _, v := range vs {
		values[v.Key] = v.Value
		if v.File {
			values[v.Key] = temp + "/" + v.Key
		}
	}
	out := make(variables, len(vs))
	for i, v := range vs {
		if !v.Raw && strings.Contains(v.Value, "$") {
			v.Value = os.Expand(v.Value, func(key string) string { return values[key] })
		}
		out[i] = v
	}
	return out
}

// unique keeps the last of each name, in the order of the last ones.
func (vs variables) unique() variables {
	last := make(map[string]int, len(vs))
	for i, v := range vs {
		last[v.Key] = i
	}
	out := make(variables, 0, len(last))
	for i, v := range vs {
		if last[v.Key] == i {
			out = append(out, v)
		}
	}
	return out
}

// environ is what the driver gets of the variables.
func (vs variables) environ() []string {
	out := make([]string, 0, len(vs)+1)
	for _, v := range vs {
		out = append(out, "CUSTOM_ENV_"+v.Key+"="+v.Value)
	}
	return append(out, "CUSTOM_ENV_CI_JOB_SERVICES=")
}

// masked are the values that must not be shown.
func (vs variables) masked() []string {
	var out []string
	for _, v := range vs {
		if v.Masked && v.Value != "" {
			out = append(out, v.Value)
		}
	}
	return out
}

// variables puts the job's variables together in the runner's order: what
// comes after the job's own cannot be overridden by it.
func (e *Execution) variables() variables {
	r, j, d := e.runner, &e.job, e.dirs
	vs := append(variables{}, featureFlags...)
	if j.Image != "" {
		vs = append(vs, Variable{Key: "CI_JOB_IMAGE", Value: j.Image, Public: true})
	}
	vs = append(vs, Variable{Key: "CI_RUNNER_SHORT_TOKEN", Value: r.ShortToken, Public: true})
	for _, pair := range r.Environment {
		key, value, _ := strings.Cut(pair, "=")
		vs = append(vs, Variable{Key: key, Value: value})
	}
	for _, v := range [][2]string{
		{"CI_BUILDS_DIR", d.builds},
		{"CI_PROJECT_DIR", d.project},
		{"CI_CONCURRENT_ID", strconv.Itoa(e.slot)},
		{"CI_CONCURRENT_PROJECT_ID", strconv.Itoa(e.projectSlot)},
		{"CI_SERVER", "yes"},
		{"CI_JOB_STATUS", e.jobStatus()},
		{"CI_JOB_TIMEOUT", strconv.Itoa(int(j.timeout().Seconds()))},
	} {
		vs = append(vs, Variable{Key: v[0], Value: v[1], Public: true})
	}
	if r.ServerCA != "" {
		vs = append(vs, Variable{Key: "CI_SERVER_TLS_CA_FILE", Value: r.ServerCA, Public: true, File: true, Raw: true})
	}
	vs = append(vs, j.Variables...)
	for _, v := range [][2]string{
		{"CI_SHARED_ENVIRONMENT", "true"},
		{"CI_RUNNER_VERSION", version},
		{"CI_RUNNER_REVISION", "stagerun"},
		{"CI_RUNNER_EXECUTABLE_ARCH", "linux/amd64"},
		{"RUNNER_TEMP_PROJECT_DIR", d.temp()},
	} {
		vs = append(vs, Variable{Key: v[0], Value: v[1], Public: true})
	}
	return vs.expand(d.temp()).unique()
}

// version is the runner whose behaviour is imitated.
const version = "19.4.0"
