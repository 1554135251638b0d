// Package trial runs a job of its own through all stages of an installation, as a runner
// would, and as an account that an administrator names. The job's token is minted by a
// private issuer, which exists for this one job: its key set is put where jacamar-auth
// keeps the keys of GitLab, in a state directory of the trial's own.
//
// Everything except the issuer, the state directory and the rules about projects,
// pipelines and runners is the site's: the same jacamar-auth, rules about accounts,
// scripts, directories and batch system.
package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/job"
)

// Trial is the job to run.
type Trial struct {
	// Auth is the jacamar-auth that runs it, and Service the account that runs
	// jacamar-auth, with ServiceIDs where this process is another one.
	Auth       job.AbsPath
	Service    job.Account
	ServiceIDs *thread.IDs
	// Dir is the trial's own directory.
	Dir Dir
	// Minted is the job's token and what belongs to it.
	Minted Minted
	// Variable is the CI variable with the token.
	Variable string
	// Limit bounds each stage; a batch system may let the job wait.
	Limit time.Duration
	// Ended is called at the end of each stage.
	Ended func(Stage)
}

// Stage is one call of jacamar-auth that has ended.
type Stage struct {
	Name   string
	Took   time.Duration
	Status int
	// Log is what the stage printed for the job's log, without colours.
	Log string
	// Err is why the call has no status.
	Err error
}

// OK reports whether the stage succeeded.
func (s Stage) OK() bool { return s.Err == nil && s.Status == 0 }

// Why returns the stage's own message of its failure: the line that begins with ERROR, or
// the last one, and the hint after it.
func (s Stage) Why() (line, hint string) {
	if s.Err != nil {
		return s.Err.Error(), ""
	}
	var lines []string
	for l := range strings.Lines(s.Log) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	for i, l := range lines {
		if _, text, found := strings.Cut(l, "ERROR: "); found {
			return text, strings.Join(lines[i+1:], " ")
		}
	}
	if len(lines) == 0 {
		return fmt.Sprintf("exit status %d", s.Status), ""
	}
	return fmt.Sprintf("%s (exit status %d)", lines[len(lines)-1], s.Status), ""
}

// Result is a trial that has ended.
type Result struct {
	Stages []Stage
	// Account is the account that the job's script ran as, "" if it did not run.
	Account string
	// Builds is the job's build directory, zero where the config stage failed.
	Builds job.AbsPath
	// Began is when the first stage did.
	Began time.Time
}

// Failed returns the first stage that failed.
func (r Result) Failed() (Stage, bool) {
	for _, s := range r.Stages {
		if !s.OK() {
			return s, true
		}
	}
	return Stage{}, false
}

// Run runs all stages. After a failure only cleanup follows, which runs also after ctx
// has ended: the job may hold a directory or a place in a batch system.
func (t Trial) Run(ctx context.Context) (r Result, err error) {
	if err := t.Dir.write(responseName, t.Minted.response(t.Variable)); err != nil {
		return r, err
	}
	r.Began = time.Now()
	answer, config := t.configure(ctx)
	r.Stages = append(r.Stages, config)
	if config.OK() {
		r.Builds = answer.BuildsDir
		r.Stages = append(r.Stages, t.work(ctx, answer)...)
		r.Account = ranAs(r.Stages)
	}
	_, last := t.call(context.WithoutCancel(ctx), answer, "cleanup", "cleanup", "--configuration", t.Dir.Configuration())
	r.Stages = append(r.Stages, last)
	return r, ctx.Err()
}

// work runs the stages between config and cleanup, until one fails.
func (t Trial) work(ctx context.Context, a customexec.ConfigOutput) (done []Stage) {
	_, prepare := t.call(ctx, a, "prepare", "prepare")
	done = append(done, prepare)
	builds := a.BuildsDir.String()
	project := builds + "/" + projectPath
	for _, s := range []struct{ name, text string }{
		{"prepare_script", script("echo \"Running on $(hostname)...\"")},
		{string(job.BuildScript), script(jobLines(builds)...)},
		{"cleanup_file_variables", script("rm -rf -- "+job.ShellQuote(project), "rm -rf -- "+job.ShellQuote(project+".tmp"))},
	} {
		if !done[len(done)-1].OK() || ctx.Err() != nil {
			return done
		}
		if err := t.Dir.write(scriptName, []byte(s.text)); err != nil {
			return append(done, Stage{Name: s.name, Err: err})
		}
		_, stage := t.call(ctx, a, s.name, "run", t.Dir.file(scriptName), s.name)
		done = append(done, stage)
	}
	return done
}

// outputs bounds what a stage prints, in bytes.
const outputs = 1 << 20

// call runs one stage as the runner runs it.
func (t Trial) call(ctx context.Context, a customexec.ConfigOutput, name string, args ...string) (stdout []byte, s Stage) {
	begin := time.Now()
	s.Name = name
	r, err := subprocess.Command{
		Path: t.Auth.String(), Args: append([]string{"-u"}, args...), Env: t.environ(a), As: t.ServiceIDs, Limit: t.Limit, MaxOutput: outputs, MaxErrors: outputs,
	}.Run(ctx)
	s.Took, s.Status, s.Err = time.Since(begin), r.Code, err
	s.Log = plain(string(r.Stderr))
	if name != "config" {
		s.Log = plain(string(r.Stdout)) + s.Log
	}
	t.Ended(s)
	return r.Stdout, s
}

func (t Trial) configure(ctx context.Context) (a customexec.ConfigOutput, s Stage) {
	stdout, s := t.call(ctx, a, "config", "config", "--configuration", t.Dir.Configuration())
	if s.OK() {
		if err := json.Unmarshal(stdout, &a); err != nil {
			s.Err = fmt.Errorf("the config stage printed no configuration: %w", err)
		}
	}
	return a, s
}

// Configuration returns a site's configuration for a trial: with the private issuer, and
// a state directory of its own. Left out are what identifies the real issuer, the log and
// the journal, and the rules about projects, pipelines and runners, which say nothing
// about an account.
func Configuration(text, stateDir string) ([]byte, error) {
	var doc map[string]any
	if _, err := toml.Decode(text, &doc); err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	general, auth := table(doc, "general"), table(doc, "auth")
	for _, t := range []map[string]any{general, auth} {
		for _, key := range issuerKeys {
			delete(t, key)
		}
	}
	for _, key := range jobRules {
		delete(auth, key)
	}
	general["gitlab_server"], general["state_dir"] = issuer, stateDir
	auth["logging"] = map[string]any{"enabled": true}
	auth["journal"] = map[string]any{"enabled": false}
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(doc); err != nil {
		return nil, fmt.Errorf("cannot write the configuration of the trial: %w", err)
	}
	return out.Bytes(), nil
}

// issuerKeys are those that say where tokens and keys come from. The jwt_ keys may be in
// either table.
var issuerKeys = []string{
	"gitlab_server", "jwt_issuer", "jwt_required_aud", "jwks_url", "jwks_max_age", "jwks_stale_max", "https_proxy", "tls-ca-file", "tls_ca_file", "insecure_loopback_http", "state_dir",
}

// jobRules are the rules of [auth] about the job and not about its account.
var jobRules = []string{
	"runner_ids", "project_allowlist", "project_blocklist", "pipeline_source_allowlist", "protected_refs_only", "logging", "journal",
}

func table(doc map[string]any, name string) map[string]any {
	t, ok := doc[name].(map[string]any)
	if !ok {
		t = map[string]any{}
		doc[name] = t
	}
	return t
}
