package main

import (
	"flag"
	"regexp"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/test/repo/docs"
)

var updateManual = flag.Bool("update-manual", false, "write the documentation again")

// program is the command line in the manual; TestHelp compares it with the program's help.
func program() docs.Program {
	file := []docs.Option{{Names: []string{"configuration"}, Value: "FILE", Usage: "with --no-auth: the site's FILE"}}
	return docs.Program{
		Name: "jacamar", Usage: "run one stage of a CI job, as its user",
		Commands: []docs.Command{
			{Usage: "run one stage of a CI job, as its user", Options: []docs.Option{
				{Names: []string{"no-auth"}, Usage: "before a stage: run it without jacamar-auth, for a user's own runner"},
				{Names: []string{"version"}, Usage: "print the version"},
			}},
			{Path: []string{"config"}, Usage: "create the job's directories", Options: file},
			{Path: []string{"prepare"}, Usage: "show in the job's log where the job runs, and as which account"},
			{Path: []string{"run"}, Usage: "run one script of the job"},
			{Path: []string{"cleanup"}, Usage: "release the job's resources", Options: file},
		},
	}
}

func TestManual(t *testing.T) {
	program().Hold(t, *updateManual, "../../docs", docs.Text{
		Section: 1,
		Description: []string{
			"jacamar-auth(8) starts `jacamar` as the account of a job, one process for each stage. It creates the job's directories, runs its scripts on this host or through a batch system, and ends the processes that they leave running.",
			"It receives its request through the socket that is its standard input. It reads no configuration file, has no privileges and makes no network connection.",
			"With `--no-auth` GitLab Runner calls it instead of jacamar-auth, for a user's own runner: it executes `jacamar-noauth`, which is in the same directory. Anyone who can send jobs to that runner acts as its account. It is not for root.",
		},
		After: []docs.Section{{Title: "EXAMPLES", Terms: []docs.Term{
			{Word: `config_args = ["--no-auth", "config", "--configuration", "/home/alice/.gitlab-runner/jacamar.toml"]`, Meaning: "In `[runners.custom]` of the runner's config.toml: the config stage of a user's own runner. `jacamar-admin init --deployment no-auth` writes all of them."},
			{Word: "jacamar --version", Meaning: "Prints the version, for comparison with that of jacamar-auth."},
		}}, {Title: "SEE ALSO", Paragraphs: []string{"jacamar-auth(8), jacamar.toml(5)"}}},
	})
}

// TestHelp: the program's help and its manual contain the same commands and options.
func TestHelp(t *testing.T) {
	var shown, known []string
	for line := range strings.Lines(help) {
		if strings.HasPrefix(line, "  jacamar ") {
			shown = append(shown, regexp.MustCompile(`-{0,2}[a-z]+(?:-[a-z]+)*`).FindAllString(strings.TrimPrefix(line, "  jacamar "), -1)...)
		}
	}
	for _, c := range program().Commands {
		known = append(known, c.Path...)
		for _, o := range c.Options {
			known = append(known, "--"+o.Names[0])
		}
	}
	known = append(known, "--help")
	slices.Sort(shown)
	slices.Sort(known)
	if shown, known = slices.Compact(shown), slices.Compact(known); !slices.Equal(shown, known) {
		t.Errorf("the help contains %q, the manual %q", shown, known)
	}
}
