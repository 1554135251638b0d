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
	base := docs.Option{Names: []string{"base"}, Value: "DIRECTORY", Usage: "look at the base DIRECTORY; can be repeated. Without it: ~/.jacamar-ci, and those of /etc/jacamar/bases"}
	json := docs.Option{Names: []string{"json"}, Usage: "print JSON"}
	file := []docs.Option{{Names: []string{"configuration"}, Value: "FILE", Usage: "with --no-auth: the site's FILE"}}
	return docs.Program{
		Name: "jacamar", Usage: "run one stage of a CI job, as its user",
		Commands: []docs.Command{
			{Usage: "run one stage of a CI job, as its user", Options: []docs.Option{
				{Names: []string{"no-auth"}, Usage: "before a stage: run it without jacamar-auth, for a user's own runner"},
				{Names: []string{"version"}, Usage: "print the version"},
			}},
			{Path: []string{"config"}, Usage: "create the job's directories", Options: file},
			{Path: []string{"prepare"}, Usage: "show in the job's log where the job runs, and as which account; fetch its image"},
			{Path: []string{"run"}, Usage: "run one script of the job"},
			{Path: []string{"cleanup"}, Usage: "release the job's resources", Options: file},
			{Path: []string{"jobs"}, Usage: "list your jobs that have a directory, on all hosts that share it, each with its batch job", Options: []docs.Option{json, base}},
			{Path: []string{"du"}, Usage: "show what your jobs occupy: build directories, caches, logs, and what is being removed", Options: []docs.Option{json, base}},
			{Path: []string{"clean"}, Usage: "remove build directories that no job uses, and what ended jobs left. It can run while jobs run", Options: []docs.Option{
				{Names: []string{"older"}, Value: "TIME", Usage: "only what was not used for TIME, such as 2d (the default) or 12h"},
				{Names: []string{"project"}, Value: "PROJECT", Usage: "only build directories with PROJECT, as in group/project"},
				{Names: []string{"caches"}, Usage: "files of the local caches as well"},
				{Names: []string{"logs"}, Usage: "retained logs of batch jobs as well"},
				{Names: []string{"dry-run", "n"}, Usage: "print what would be removed"},
				base,
			}},
		},
	}
}

func TestManual(t *testing.T) {
	program().Hold(t, *updateManual, "../../docs", docs.Text{
		Section: 1,
		Description: []string{
			"jacamar-auth(8) starts `jacamar` as the account of a job, one process for each stage. It creates the job's directories, runs its scripts on this host or through a batch system, and ends the processes that they leave running.",
			"It receives its request through the socket that is its standard input. It reads no configuration file, has no privileges and makes no network connection.",
			"`jobs`, `du` and `clean` are for the person whose jobs run. They use the locks of the jobs' own cleanup: a directory that a live job has is never touched.",
			"With `--no-auth` GitLab Runner calls it instead of jacamar-auth, for a user's own runner: it executes `jacamar-noauth`, which is in the same directory. Anyone who can send jobs to that runner acts as its account. It is not for root.",
		},
		After: []docs.Section{{Title: "EXAMPLES", Terms: []docs.Term{
			{Word: `config_args = ["--no-auth", "config", "--configuration", "/home/alice/.gitlab-runner/jacamar.toml"]`, Meaning: "In `[runners.custom]` of the runner's config.toml: the config stage of a user's own runner. `jacamar-admin init --deployment no-auth` writes all of them."},
			{Word: "jacamar --version", Meaning: "Prints the version, for comparison with that of jacamar-auth."},
		}}, {Title: "FILES", Terms: []docs.Term{
			{Word: "/etc/jacamar/bases", Meaning: "Base directories of this host, one in each line; $HOME and $USER are replaced. The administrators may write it where data_dir is not $HOME."},
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
