// Package customexec is the contract between GitLab Runner's custom executor and its
// driver: the environment of the driver, the job response, the output of the config
// stage and the file for the script's exit code.
// Source: https://docs.gitlab.com/runner/executors/custom/
//
// Untrusted bytes become typed values here. Of all that the runner passes, only two
// things come from GitLab itself: the fields of the job response outside its list of
// variables, and a token with a valid signature. Everything with the prefix CUSTOM_ENV_
// can be set by the job's author.
package customexec

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/job"
)

// Environ is what is used of the runner's environment.
type Environ struct {
	Codes failure.Codes
	// CodeFile takes the exit code of a failed script; the zero value when the
	// runner named none.
	CodeFile job.AbsPath
	// Response is the job as GitLab sent it.
	Response job.AbsPath
	// State is what the config stage put into job_env, "" before it.
	State string
	// Login is what a job's shell has from the runner's environment.
	Login []job.Env
	// ByRunner reports that GitLab Runner made the call: it passes the exit status that it
	// expects of a failed job.
	ByRunner bool
	custom   map[string]string
}

// stateVariable carries the config stage's state to the later stages. A job's
// author cannot set it: the runner gives every variable of a job the prefix
// CUSTOM_ENV_.
const stateVariable = "JACAMAR_CI_STATE"

const customPrefix = "CUSTOM_ENV_"

// ParseEnviron reads a process environment. The last of two variables of one name
// counts, as it does for the runner.
func ParseEnviron(environ []string) (Environ, error) {
	e := Environ{Codes: failure.DefaultCodes(), custom: map[string]string{}}
	own := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if variable, ok := strings.CutPrefix(name, customPrefix); ok {
			e.custom[variable] = value
		} else {
			own[name] = value
		}
	}
	_, e.ByRunner = own["BUILD_FAILURE_EXIT_CODE"]
	e.State, e.Login = own[stateVariable], login(own)
	return e, e.readOwn(own)
}

// readOwn reads what the runner itself passes, and returns the first fault in the order
// below. It sets the other values anyway: this call may end with one of the codes.
func (e *Environ) readOwn(own map[string]string) (first error) {
	for _, v := range []struct {
		name string
		read func(text string) error
	}{
		{"BUILD_FAILURE_EXIT_CODE", func(text string) error { return readCode(&e.Codes.Build, text) }},
		{"SYSTEM_FAILURE_EXIT_CODE", func(text string) error { return readCode(&e.Codes.System, text) }},
		{"BUILD_EXIT_CODE_FILE", func(text string) (err error) { e.CodeFile, err = job.ParseAbsPath(text); return err }},
		{"JOB_RESPONSE_FILE", func(text string) (err error) { e.Response, err = job.ParseAbsPath(text); return err }},
	} {
		text, given := own[v.name]
		if !given {
			continue
		}
		if err := v.read(text); err != nil {
			first = cmp.Or(first, error(failure.Privatef("cannot use the runner's %s: %w", v.name, err)))
		}
	}
	return first
}

func readCode(code *int, text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 255 {
		return fmt.Errorf("%q is not an exit status of a failure", job.Clip(text))
	}
	*code = n
	return nil
}

// Variable returns the value of a CI variable as the runner expanded it. The
// job's author controls it.
func (e Environ) Variable(name string) (string, bool) {
	value, ok := e.custom[name]
	return value, ok
}

// TooLong finds a CI variable whose value is longer than limit bytes; a limit of 0
// is none. Of several it is the first by name.
func (e Environ) TooLong(limit int) error {
	if limit == 0 {
		return nil
	}
	found := ""
	for name, value := range e.custom {
		if len(value) > limit && (found == "" || name < found) {
			found = name
		}
	}
	if found == "" {
		return nil
	}
	return failure.Buildf("the CI variable %s is %d bytes long; this resource accepts %d", found, len(e.custom[found]), limit).
		WithHint("keep the value in the repository or in an artifact; as a variable of type file it is as long")
}

// Token returns the id_token in the variable of that name. The copy in the job
// response is preferred: GitLab puts its own entry before a variable of the same
// name that another source defines.
func (e Environ) Token(name string, r Response) (token job.Secret, ok bool) {
	if token, ok := r.tokens[name]; ok {
		return job.NewSecret(token), true
	}
	text := e.custom[name]
	return job.NewSecret(text), text != ""
}

// TokenAdvice is the advice to a job's author how to get a token with that audience.
// Source: https://docs.gitlab.com/ci/yaml/#id_tokens
func TokenAdvice(variable, audience string) failure.Advice {
	return failure.Advice{Hint: "write in the job in .gitlab-ci.yml:", Lines: []string{
		"id_tokens:",
		"  " + variable + ":",
		fmt.Sprintf("    aud: %q", audience),
	}}
}

// Runner returns the runner's short token, by which it names its build
// directories. It is not trusted: it names directories of the job's own user only.
func (e Environ) Runner() string {
	s := e.custom["CI_RUNNER_SHORT_TOKEN"]
	if s == "" || len(s) > 32 || strings.Trim(s, tokenCharacters) != "" {
		return "runner"
	}
	return s
}

// TempDir is where the runner keeps the job's file variables and its token for
// git; zero before the prepare stage. The runner sets it after the job's own
// variables, but a job can move it, within its build directory.
func (e Environ) TempDir() job.AbsPath {
	p, err := job.ParseAbsPath(e.custom["RUNNER_TEMP_PROJECT_DIR"])
	if err != nil {
		return job.AbsPath{}
	}
	return p
}

// tokenCharacters are those of GitLab's short tokens.
const tokenCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// String contains none of the values.
func (e Environ) String() string {
	return fmt.Sprintf("environment with %d CI variables", len(e.custom))
}

// login is what a login shell has from the system: the language and the time zone. The C
// library opens files by both, which made sudo open others (CVE-2014-9680), so only
// plain names are accepted.
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
