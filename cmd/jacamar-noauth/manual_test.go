package main

import (
	"flag"
	"testing"

	"jacamar-ci/test/repo/docs"
)

var updateManual = flag.Bool("update-manual", false, "write the documentation again")

func TestManual(t *testing.T) {
	file := []docs.Option{{Names: []string{"configuration"}, Value: "FILE", Usage: "the site's configuration FILE", Required: true}}
	program := docs.Program{
		Name: "jacamar-noauth", Usage: "run the stages of a CI job without authorization",
		Commands: []docs.Command{
			{Usage: "run the stages of a CI job without authorization"},
			{Path: []string{"config"}, Usage: "create the job's directories and print the runner's configuration", Options: file},
			{Path: []string{"prepare"}, Usage: "show in the job's log where the job runs; fetch its image"},
			{Path: []string{"run"}, Args: "SCRIPT STAGE", Usage: "run one script of the job"},
			{Path: []string{"cleanup"}, Usage: "release the job's resources", Options: file},
		},
	}
	docs.Hold(t, *updateManual, "../../docs/man/jacamar-noauth.8", program.Man(docs.Text{
		Section: 8,
		Description: []string{
			"`jacamar --no-auth` executes `jacamar-noauth`, which is in the same directory: GitLab Runner does not call it by its own name. It is for the runner of one account, without jacamar-auth(8): no token is verified, and every job runs as the account of the runner.",
			"Anyone who can send jobs to that runner acts as its account. It refuses to run as root.",
		},
		After: []docs.Section{
			{Title: "EXIT STATUS", Terms: []docs.Term{
				{Word: "0", Meaning: "The stage succeeded."},
				{Word: "BUILD_FAILURE_EXIT_CODE, SYSTEM_FAILURE_EXIT_CODE", Meaning: "As for jacamar-auth(8)."},
			}},
			{Title: "EXAMPLES", Terms: []docs.Term{{
				Word:    "jacamar-admin init --deployment no-auth --configuration ~/.gitlab-runner/jacamar.toml --runner-config ~/.gitlab-runner/config.toml",
				Meaning: "Writes a configuration, and makes the account's own runner call jacamar.",
			}}},
			{Title: "SEE ALSO", Paragraphs: []string{"jacamar(1), jacamar-auth(8), jacamar-admin(8), jacamar.toml(5)"}},
		},
	}))
}
