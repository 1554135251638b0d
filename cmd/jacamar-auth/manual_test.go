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

// program is what the manual has of the command line; TestHelp compares it with the
// program's own help.
func program() docs.Program {
	file := []docs.Option{{Names: []string{"configuration"}, Value: "FILE", Usage: "the site's configuration FILE"}}
	required := slices.Clone(file)
	required[0].Required = true
	return docs.Program{
		Name: "jacamar-auth", Usage: "authorize a CI job and run it as the person who triggered it",
		Commands: []docs.Command{
			{Usage: "authorize a CI job and run it as the person who triggered it", Options: []docs.Option{
				{Names: []string{"unobfuscated", "u"}, Usage: "show every error to the job's user in full"},
				{Names: []string{"version"}, Usage: "print the version"},
			}},
			{Path: []string{"config"}, Usage: "authorize the job and print the runner's configuration", Options: required},
			{Path: []string{"prepare"}, Usage: "show in the job's log where the job runs, and as which account; fetch its image"},
			{Path: []string{"run"}, Args: "SCRIPT STAGE", Usage: "run one script of the job"},
			{Path: []string{"cleanup"}, Usage: "release the job's resources", Options: file},
			{Path: []string{"reap"}, Args: "UID.PROJECT.JOB", Usage: "clean up after a job that its runner abandoned", Options: required},
		},
	}
}

func TestManual(t *testing.T) {
	program().Hold(t, *updateManual, "../../docs", docs.Text{
		Section: 8,
		Description: []string{
			"GitLab Runner calls `jacamar-auth` for each stage of a job of its custom executor. It verifies the job's id_token, applies the site's rules, and starts jacamar(1) as the account that they grant. It stays until the stage is over.",
			"It needs the right to change its account: by being root, by the file capabilities cap_setuid and cap_setgid, or by a rule of sudo(8). Everything that the site decides is in jacamar.toml(5). Commands for administrators are in jacamar-admin(8).",
		},
		After: []docs.Section{
			{Title: "EXIT STATUS", Terms: []docs.Term{
				{Word: "0", Meaning: "The stage succeeded."},
				{Word: "BUILD_FAILURE_EXIT_CODE", Meaning: "The job failed by its own doing, or the site's rules refused it. The variable is the runner's; the exit code of the script is written to the file that it names in BUILD_EXIT_CODE_FILE."},
				{Word: "SYSTEM_FAILURE_EXIT_CODE", Meaning: "The job could not be run, or was refused by the state of the resource, such as a drain. GitLab may retry it."},
				{Word: "2", Meaning: "The command line is wrong, or the runner gave no SYSTEM_FAILURE_EXIT_CODE."},
			}},
			{Title: "FILES", Terms: []docs.Term{
				{Word: "/etc/gitlab-runner/jacamar.toml", Meaning: "The usual place of the configuration; see jacamar.toml(5)."},
				{Word: "jacamar-keys", Meaning: "In the directory of this program: fetches the server's public keys, without privileges."},
				{Word: "/var/lib/jacamar", Meaning: "State of jacamar-auth: the server's public keys, the key that seals states of jobs, the operator's log and the journal."},
			}},
			{Title: "EXAMPLES", Terms: []docs.Term{
				{Word: `config_args = ["config", "--configuration", "/etc/gitlab-runner/jacamar.toml"]`, Meaning: "In `[runners.custom]` of the runner's config.toml, with this program as `config_exec`. The arguments of the other stages are `prepare`, `run`, and `cleanup` with the same option; `jacamar-admin init` writes all of them."},
				{Word: `prepare_args = ["-u", "prepare"]`, Meaning: "Shows every error of that stage in the job's log in full, for a test."},
			}},
			{Title: "SEE ALSO", Paragraphs: []string{"jacamar(1), jacamar-admin(8), jacamar.toml(5), sudo(8), capabilities(7)"}},
		},
	})
}

// TestHelp: the program's help and its manual name the same options and commands.
func TestHelp(t *testing.T) {
	var shown, known []string
	for line := range strings.Lines(help) {
		if strings.HasPrefix(line, "  jacamar-auth ") || strings.HasPrefix(line, "  -") {
			words, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "jacamar-auth "), "   ")
			shown = append(shown, regexp.MustCompile(`-{0,2}[a-z]+(?:-[a-z]+)*`).FindAllString(words, -1)...)
		}
	}
	for _, c := range program().Commands {
		known = append(known, c.Path...)
		for _, o := range c.Options {
			for _, name := range o.Names {
				known = append(known, strings.Repeat("-", min(2, len(name)))+name)
			}
		}
	}
	known = append(known, "--help")
	slices.Sort(shown)
	slices.Sort(known)
	if shown, known = slices.Compact(shown), slices.Compact(known); !slices.Equal(shown, known) {
		t.Errorf("the help names %q, the manual %q", shown, known)
	}
}
