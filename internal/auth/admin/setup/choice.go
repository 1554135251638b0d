// Package setup makes the first configuration of a site: a commented file with
// what an administrator chose, and the runner's table that calls jacamar-auth.
//
// What it makes is judged by the packages that will read it: the configuration is
// loaded before it takes its place, and a runner's file is compared, key by key,
// with what was meant.
package setup

import (
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/executors"
	"jacamar-ci/internal/job"
)

// Deployment is how jacamar-auth comes by the right to change its account.
type Deployment string

// The deployments.
const (
	Root   Deployment = "root"    // the runner's service is root's
	Caps   Deployment = "caps"    // file capabilities, the package jacamar-ci-caps
	Sudo   Deployment = "sudo"    // a rule of sudo
	None   Deployment = "none"    // jobs run as the service account
	NoAuth Deployment = "no-auth" // jacamar --no-auth: nothing is authorized
)

// deployments are all of them, the usual one first.
func deployments() []Deployment { return []Deployment{Root, Caps, Sudo, None, NoAuth} }

// ParseDeployment takes one of the names above.
func ParseDeployment(text string) (Deployment, error) {
	if d := Deployment(text); slices.Contains(deployments(), d) {
		return d, nil
	}
	return "", fmt.Errorf("deployment %q is none of root, caps, sudo, none, no-auth", text)
}

// Changes reports whether jobs run as other accounts than the service.
func (d Deployment) Changes() bool { return d == Root || d == Caps || d == Sudo }

// Choice is what an administrator chose. Its texts are not yet checked: the
// configuration that they become is.
type Choice struct {
	Server, DataDir, Executor string
	CAFile, StateDir, Log     string // "" = left out
	Helper                    string // "" = left out
	Deployment                Deployment
	// Groups are those whose members may run jobs: names between commas, or Everyone.
	Groups string
	// MinUID is auth.min_uid where the service has a lower id and jobs run as it; 0 is
	// the default.
	MinUID job.UID
}

// Everyone is the answer that leaves a site open to all accounts.
const Everyone = "all"

// groups are the names of Groups, nil for everyone.
func (c Choice) groups() (names []string) {
	if c.Groups == Everyone {
		return nil
	}
	for name := range strings.SplitSeq(c.Groups, ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// values are the keys that the choice sets.
func (c Choice) values() map[string]any {
	downscope := "setuid"
	switch c.Deployment {
	case Sudo, None:
		downscope = string(c.Deployment)
	case NoAuth:
		downscope = string(None)
	case Root, Caps:
	}
	all := map[string]any{
		"general.gitlab_server": c.Server, "general.data_dir": c.DataDir, "general.executor": c.Executor,
		"auth.logging.location": c.Log, "auth.helper_account": c.Helper,
		"general.tls-ca-file": c.CAFile, "general.state_dir": c.StateDir, "auth.downscope": downscope,
	}
	for key, value := range all {
		if value == "" {
			delete(all, key)
		}
	}
	if c.Deployment != NoAuth {
		all["auth.logging.enabled"] = true
	}
	if groups := c.groups(); len(groups) > 0 {
		all["auth.groups_allowlist"] = groups
	}
	if c.MinUID != 0 {
		all["auth.min_uid"] = int64(c.MinUID)
	}
	return all
}

// Question is the prompt for one part of a choice.
type Question struct {
	Flag, Text string
	// Example is shown where there is no Default.
	Example, Default string
	// Check returns what is wrong with an answer.
	Check  func(string) error
	Answer *string
}

// Questions are those that a choice leaves open, in order. group reports whether there is
// a group of that name.
func (c *Choice) Questions(deployment *string, group func(string) error) []Question {
	key := func(path string) func(string) error {
		return func(answer string) error { return config.CheckValue(path, answer) }
	}
	all := []Question{
		{"gitlab-server", "Address of the GitLab server", "https://gitlab.example.com", "", key("general.gitlab_server"), &c.Server},
		{"deployment", "Deployment: root, caps, sudo, none or no-auth (docs/install.md)", "", string(Root), func(answer string) error {
			_, err := ParseDeployment(answer)
			return err
		}, deployment},
		{"executor", "Executor: " + executors.Names(), "", "shell", key("general.executor"), &c.Executor},
		{"data-dir", "Directory for the files of jobs", "", "$HOME", key("general.data_dir"), &c.DataDir},
		{"allow-groups", "Groups whose members may run jobs, with commas between them, or " + Everyone, "ci-users", "", func(answer string) error {
			for _, name := range (Choice{Groups: answer}).groups() {
				if err := group(name); err != nil {
					return err
				}
			}
			return nil
		}, &c.Groups},
	}
	return slices.DeleteFunc(all, func(q Question) bool { return *q.Answer != "" })
}

// concerns reports whether a question is of interest in a deployment: where all jobs run
// as one account, groups decide nothing.
func (q Question) concerns(d Deployment) bool { return q.Flag != "allow-groups" || d.Changes() }

// Flags names the options that would answer the questions.
func Flags(questions []Question) string {
	var names []string
	for _, q := range questions {
		names = append(names, "--"+q.Flag)
	}
	return strings.Join(names, ", ")
}
