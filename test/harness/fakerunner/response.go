package fakerunner

import (
	"encoding/json"
	"path"
	"strings"
)

// response is the job as the runner writes it to JOB_RESPONSE_FILE: what it
// decoded from POST /api/v4/jobs/request, encoded again.
type response struct {
	ID            int64            `json:"id"`
	Token         string           `json:"token"`
	AllowGitFetch bool             `json:"allow_git_fetch"`
	JobInfo       jobInfo          `json:"job_info"`
	GitInfo       gitInfo          `json:"git_info"`
	RunnerInfo    map[string]any   `json:"runner_info"`
	Inputs        any              `json:"inputs"`
	Variables     []Variable       `json:"variables"`
	Steps         []responseStep   `json:"steps"`
	Image         map[string]any   `json:"image"`
	Services      []any            `json:"services"`
	Artifacts     []map[string]any `json:"artifacts"`
	Cache         []map[string]any `json:"cache"`
	Credentials   []any            `json:"credentials"`
	Dependencies  []map[string]any `json:"dependencies"`
	Features      map[string]any   `json:"features"`
	Run           json.RawMessage  `json:"run,omitempty"`
}

type jobInfo struct {
	Name            string `json:"name"`
	Stage           string `json:"stage"`
	PipelineID      int64  `json:"pipeline_id,omitempty"`
	ProjectID       int64  `json:"project_id"`
	ProjectName     string `json:"project_name"`
	ProjectFullPath string `json:"project_full_path"`
	NamespaceID     int64  `json:"namespace_id"`
	UserID          int64  `json:"user_id,omitempty"`
	ScopedUserID    int64  `json:"scoped_user_id,omitempty"`
}

type gitInfo struct {
	RepoURL          string   `json:"repo_url"`
	RepoObjectFormat string   `json:"repo_object_format"`
	Ref              string   `json:"ref"`
	SHA              string   `json:"sha"`
	BeforeSHA        string   `json:"before_sha"`
	RefType          string   `json:"ref_type"`
	Refspecs         []string `json:"refspecs"`
	Depth            int      `json:"depth"`
	Protected        bool     `json:"protected"`
}

type responseStep struct {
	Name         string   `json:"name"`
	Script       []string `json:"script"`
	Timeout      int      `json:"timeout"`
	When         string   `json:"when"`
	AllowFailure bool     `json:"allow_failure"`
}

// Response returns the content of JOB_RESPONSE_FILE. The runner encodes the inputs
// that it decoded as an empty object.
func (j *Job) Response() []byte { return j.response(map[string]any{}) }

// Request returns what GitLab answers to POST /api/v4/jobs/request.
func (j *Job) Request() []byte { return j.response([]any{}) }

func (j *Job) response(inputs any) []byte {
	r := response{
		ID: j.ID, Token: j.Token, AllowGitFetch: true,
		JobInfo: jobInfo{
			Name: j.Name, Stage: j.Stage, PipelineID: j.PipelineID, ProjectID: j.Project.ID,
			ProjectName: path.Base(j.Project.FullPath), ProjectFullPath: j.Project.FullPath,
			NamespaceID: j.Project.NamespaceID, UserID: j.UserID, ScopedUserID: j.ScopedUserID,
		},
		GitInfo: gitInfo{
			RepoURL: j.Git.RepoURL, RepoObjectFormat: "sha1", Ref: j.Git.Ref, SHA: j.Git.SHA,
			BeforeSHA: j.Git.BeforeSHA, RefType: j.Git.RefType, Refspecs: j.Git.Refspecs,
			Depth: j.depth(), Protected: j.Git.Protected,
		},
		RunnerInfo: map[string]any{"timeout": int(j.timeout().Seconds())},
		Inputs:     inputs, Run: j.Run, Variables: j.Variables, Steps: j.responseSteps(),
		Image: j.image(), Features: map[string]any{
			"trace_sections": true, "failure_reasons": []string{"unknown_failure", "script_failure", "runner_system_failure", "job_execution_timeout"},
		},
	}
	for _, l := range j.Logins {
		r.Credentials = append(r.Credentials, map[string]any{"type": "registry", "url": l.Registry, "username": l.User, "password": l.Password})
	}
	for _, s := range j.Services {
		r.Services = append(r.Services, s)
	}
	for _, c := range j.Cache {
		r.Cache = append(r.Cache, map[string]any{"key": c.Key, "paths": c.Paths, "policy": "pull-push", "when": orSuccess(c.When)})
	}
	for _, a := range j.Artifacts {
		r.Artifacts = append(r.Artifacts, map[string]any{
			"name": a.Name, "paths": a.Paths, "when": orSuccess(a.When), "artifact_type": "archive", "artifact_format": "zip",
		})
	}
	for _, d := range j.Dependencies {
		r.Dependencies = append(r.Dependencies, map[string]any{
			"id": d.ID, "name": d.Name, "token": d.Token, "artifacts_file": map[string]any{"filename": "artifacts.zip", "size": 1},
		})
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // no field of these types can fail to marshal
	}
	return b
}

func (j *Job) image() map[string]any {
	image := map[string]any{"name": j.Image}
	if j.ImageEntrypoint != nil {
		image["entrypoint"] = j.ImageEntrypoint
	}
	if j.ImagePullPolicy != nil {
		image["pull_policy"] = j.ImagePullPolicy
	}
	if j.ImageUser != "" {
		image["executor_opts"] = map[string]any{"docker": map[string]any{"user": j.ImageUser}}
	}
	return image
}

func (j *Job) responseSteps() []responseStep {
	steps := []responseStep{{Name: "script", Script: j.Script, Timeout: 3600, When: "on_success"}}
	for _, s := range j.Steps {
		steps = append(steps, responseStep{Name: s.Name, Script: s.Script, Timeout: 3600, When: "on_success"})
	}
	if len(j.AfterScript) > 0 {
		steps = append(steps, responseStep{Name: "after_script", Script: j.AfterScript, Timeout: 3600, When: "always", AllowFailure: true})
	}
	return steps
}

func orSuccess(when string) string {
	if when == "" {
		return "on_success"
	}
	return strings.TrimSpace(when)
}
