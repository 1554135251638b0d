// Package setup makes the first configuration of a site: a commented file with
// what an administrator chose, and the runner's table that calls jacamar-auth.
//
// What it makes is judged by the packages that will read it: the configuration is
// loaded before it takes its place, and a runner's file is compared, key by key,
// with what was meant.
package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"jacamar-ci/internal/executors"
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
		{"executor", "Executor (" + executors.Names() + ")", "shell", &c.Executor},
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

// longestAnswer bounds what is read of one answer, in bytes.
const longestAnswer = 4096

// Ask puts the questions, one a line; an empty answer takes the default.
func Ask(in io.Reader, out io.Writer, questions []Question) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestAnswer)
	for _, q := range questions {
		if err := ask(lines, out, q); err != nil {
			return err
		}
	}
	return nil
}

func ask(lines *bufio.Scanner, out io.Writer, q Question) error {
	for *q.Answer == "" {
		prompt := q.Text
		if q.Default != "" {
			prompt += " [" + q.Default + "]"
		}
		if _, err := fmt.Fprint(out, prompt+": "); err != nil {
			return err
		}
		if !lines.Scan() {
			return errors.Join(fmt.Errorf("no answer to %q: give --%s", q.Text, q.Flag), lines.Err())
		}
		if *q.Answer = strings.TrimSpace(lines.Text()); *q.Answer == "" {
			*q.Answer = q.Default
		}
	}
	return nil
}
