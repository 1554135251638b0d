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

// program is what the manual says of the command line; TestHelp holds it against
// what the program itself says.
func program() docs.Program {
	file := []docs.Option{{Names: []string{"configuration"}, Value: "FILE", Usage: "with --no-auth: the site's FILE"}}
	return docs.Program{
		Name: "jacamar", Usage: "run one stage of a CI job, as its user",
		Commands: []docs.Command{
			{Usage: "run one stage of a CI job, as its user", Options: []docs.Option{
				{Names: []string{"no-auth"}, Usage: "before a stage: run it without jacamar-auth, for a runner of one's own"},
				{Names: []string{"version"}, Usage: "print the version"},
			}},
			{Path: []string{"config"}, Usage: "make the job's directories", Options: file},
			{Path: []string{"prepare"}, Usage: "say in the job's log where and as whom the job runs"},
			{Path: []string{"run"}, Usage: "run one script of the job"},
			{Path: []string{"cleanup"}, Usage: "give up what the job held", Options: file},
		},
	}
}

func TestManual(t *testing.T) {
	program().Hold(t, *updateManual, "../../docs", docs.Text{
		Section: 1,
		Description: []string{
			"jacamar-auth(8) starts `jacamar` as the account of a job, one process for each stage. It makes the job's directories, runs its scripts on this host or through a batch system, and ends whatever they leave running.",
			"It takes its orders from the socket that is its standard input. It reads no configuration file, has no privileges and makes no network connection.",
			"With `--no-auth` it is called by GitLab Runner in the place of jacamar-auth, by an account that has a runner of its own: it becomes `jacamar-noauth`, which is beside it, and whoever may send that runner jobs may be that account. It is not for root.",
		},
		After: []docs.Section{{Title: "SEE ALSO", Paragraphs: []string{"jacamar-auth(8), jacamar.toml(5)"}}},
	})
}

// TestHelp: the program's help and its manual name the same words.
func TestHelp(t *testing.T) {
	var told, known []string
	for line := range strings.Lines(help) {
		if strings.HasPrefix(line, "  jacamar ") {
			told = append(told, regexp.MustCompile(`-{0,2}[a-z]+(?:-[a-z]+)*`).FindAllString(strings.TrimPrefix(line, "  jacamar "), -1)...)
		}
	}
	for _, c := range program().Commands {
		known = append(known, c.Path...)
		for _, o := range c.Options {
			known = append(known, "--"+o.Names[0])
		}
	}
	known = append(known, "--help")
	slices.Sort(told)
	slices.Sort(known)
	if told, known = slices.Compact(told), slices.Compact(known); !slices.Equal(told, known) {
		t.Errorf("the help names %q, the manual %q", told, known)
	}
}
