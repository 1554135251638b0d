package fakerunner

import (
	"encoding/json"
	"strconv"
	"time"
)

// Job is one CI job as GitLab assigns it, reduced to what affects a custom executor.
type Job struct {
	ID         int64
	Name       string
	Stage      string
	Token      string
	PipelineID int64
	// UserID and ScopedUserID are in job_info; 0 leaves them out, as runners
	// before 18.5 do.
	UserID, ScopedUserID int64
	Project              Project
	Git                  Git
	// ServerURL is where artifacts go.
	ServerURL string
	Image     string
	// ImageEntrypoint, ImagePullPolicy and ImageUser are image:entrypoint,
	// image:pull_policy and image:docker:user; nil and "" leave them out.
	ImageEntrypoint []string
	ImagePullPolicy []string
	ImageUser       string
	// Logins are the registry's of GitLab, which are in credentials.
	Logins   []Login
	Services []Service
	// Timeout of the whole job, 0 for one hour.
	Timeout   time.Duration
	Variables []Variable
	// Script is before_script followed by script.
	Script      []string
	AfterScript []string
	// Run is the field run of the job response, as JSON: the steps of a job that is
	// written with "run:". The runner gives such a job the script "step-runner ci"
	// and the steps in the variable STEPS.
	Run json.RawMessage
	// Steps are further steps, such as release, which run as step_<name>.
	Steps        []Step
	Cache        []Cache
	Artifacts    []Artifact
	Dependencies []Dependency
	// Bare leaves the sub-stages out that every job has around its script, for
	// tests with very many jobs.
	Bare bool
	// Raw replaces the generated script of a run sub-stage; a stage that the
	// job would not have is run when it is named here.
	Raw map[string][]byte
}

// Project is where the job runs.
type Project struct {
	ID          int64
	FullPath    string
	NamespaceID int64
}

// Git is git_info.
type Git struct {
	// RepoURL has the job token in it. Its path, not the project's, names the
	// build directory.
	RepoURL   string
	Ref       string
	SHA       string
	BeforeSHA string
	RefType   string
	Refspecs  []string
	Depth     int
	Protected bool
}

// Variable is a CI/CD variable. Values of raw ones are not expanded.
type Variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	File   bool   `json:"file"`
	Masked bool   `json:"masked"`
	Raw    bool   `json:"raw"`
}

// Service is one of `services:`. Of it, nil and "" leave a field out.
type Service struct {
	Name       string     `json:"name"`
	Alias      string     `json:"alias,omitempty"`
	Entrypoint []string   `json:"entrypoint,omitempty"`
	Command    []string   `json:"command,omitempty"`
	PullPolicy []string   `json:"pull_policy,omitempty"`
	Variables  []Variable `json:"variables,omitempty"`
}

// Login is for the registry of a GitLab.
type Login struct{ Registry, User, Password string }

// Step is a named list of commands.
type Step struct {
	Name   string
	Script []string
}

// Cache is one cache of the job. When is on_success (empty), on_failure or always.
type Cache struct {
	Key   string
	Paths []string
	When  string
}

// Artifact is one artifacts entry; When as in Cache.
type Artifact struct {
	Name  string
	Paths []string
	When  string
}

// Dependency is an earlier job whose artifacts are downloaded.
type Dependency struct {
	ID    int64
	Name  string
	Token string
}

func (j *Job) timeout() time.Duration { return orDefault(j.Timeout, time.Hour) }

// value returns the last variable of that name, as a job sees it.
func (j *Job) value(key string) string {
	for i := len(j.Variables) - 1; i >= 0; i-- {
		if j.Variables[i].Key == key {
			return j.Variables[i].Value
		}
	}
	return ""
}

// depth is git_info's. It is GitLab that reads GIT_DEPTH; the runner does not.
func (j *Job) depth() int {
	if d, err := strconv.Atoi(j.value("GIT_DEPTH")); err == nil {
		return d
	}
	return j.Git.Depth
}

// whenMatches reports whether a cache or artifact is saved after this end.
func whenMatches(when string, failed bool) bool {
	switch when {
	case "always":
		return true
	case "on_failure":
		return failed
	default:
		return !failed
	}
}
