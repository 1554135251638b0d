package setup

import (
	"fmt"
	"slices"
	"strings"
)

// Deployment is how jacamar-auth comes by the right to change its account.
type Deployment string

// The deployments.
const (
	Root Deployment = "root" // the runner's service is root's
	Caps Deployment = "caps" // file capabilities, the package jacamar-ci-caps
	Sudo Deployment = "sudo" // a rule of sudo
	None Deployment = "none" // jobs run as the service account
)

// Deployments are all of them, the usual one first.
func Deployments() []Deployment { return []Deployment{Root, Caps, Sudo, None} }

// ParseDeployment takes one of the names above.
func ParseDeployment(text string) (Deployment, error) {
	if d := Deployment(text); slices.Contains(Deployments(), d) {
		return d, nil
	}
	return "", fmt.Errorf("deployment %q is none of root, caps, sudo, none", text)
}

// Choice is what an administrator chose. Its texts are not yet checked: the
// configuration that they become is.
type Choice struct {
	Server, DataDir, Executor string
	CAFile, StateDir, Log     string // "" = left out
	Helper                    string // "" = left out
	Deployment                Deployment
}

// values are the keys that the choice sets.
func (c Choice) values() map[string]any {
	downscope := "setuid"
	switch c.Deployment {
	case Sudo, None:
		downscope = string(c.Deployment)
	case Root, Caps:
	}
	all := map[string]any{
		"auth.logging.enabled":  true,
		"general.gitlab_server": c.Server, "general.data_dir": c.DataDir, "general.executor": c.Executor,
		"auth.logging.location": c.Log, "auth.helper_account": c.Helper,
		"general.tls-ca-file": c.CAFile, "general.state_dir": c.StateDir, "auth.downscope": downscope,
	}
	for key, value := range all {
		if value == "" {
			delete(all, key)
		}
	}
	return all
}

// Question asks for one part of a choice.
type Question struct {
	Flag, Text, Default string
	Answer              *string
}

// Questions are those that a choice leaves open; service is asked for where jobs
// are not started by root.
func (c *Choice) Questions(deployment *string) []Question {
	all := []Question{
		{"gitlab-server", "Address of the GitLab server", "", &c.Server},
		{"deployment", "Deployment (root, caps, sudo or none)", string(Root), deployment},
		{"executor", "Executor (shell, slurm, flux, pbs, lsf, sge or cobalt)", "shell", &c.Executor},
		{"data-dir", "Directory for the files of jobs", "$HOME", &c.DataDir},
	}
	return slices.DeleteFunc(all, func(q Question) bool { return *q.Answer != "" })
}

// Flags names the options that would answer the questions.
func Flags(questions []Question) string {
	var names []string
	for _, q := range questions {
		names = append(names, "--"+q.Flag)
	}
	return strings.Join(names, ", ")
}
