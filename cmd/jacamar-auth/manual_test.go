package main

import (
	"flag"
	"testing"

	"jacamar-ci/test/repo/docs"
)

var updateManual = flag.Bool("update-manual", false, "write the documentation again")

func TestManual(t *testing.T) {
	var status int
	docs.Of(app(&status)).Hold(t, *updateManual, "../../docs", docs.Text{
		Section: 8,
		Description: []string{
			"GitLab Runner calls `jacamar-auth` for each stage of a job of its custom executor. It verifies the job's id_token, applies the site's rules, and starts jacamar(1) as the account that they grant. It stays until the stage is over.",
			"It needs the right to change its account: by being root, by the file capabilities cap_setuid and cap_setgid, or by a rule of sudo(8). Everything that the site decides is in jacamar.toml(5).",
			"The commands `config`, `prepare`, `run` and `cleanup` are the runner's. The others are for administrators, and are best run as the account of the runner's service: what they see depends on it.",
		},
		After: []docs.Section{
			{Title: "EXIT STATUS", Terms: []docs.Term{
				{Word: "0", Meaning: "The stage succeeded. For `check`: all is well. For `explain`: the job would run."},
				{Word: "BUILD_FAILURE_EXIT_CODE", Meaning: "The job failed by its own doing. The variable is the runner's; the exit code of the script is written to the file that it names in BUILD_EXIT_CODE_FILE."},
				{Word: "SYSTEM_FAILURE_EXIT_CODE", Meaning: "The job could not be run, or was refused. GitLab may retry it."},
				{Word: "1, 2, 3", Meaning: "For `check`, as monitoring plugins have it: warnings, faults, could not look."},
			}},
			{Title: "FILES", Terms: []docs.Term{
				{Word: "/etc/gitlab-runner/jacamar.toml", Meaning: "The usual place of the configuration; see jacamar.toml(5)."},
				{Word: "jacamar-keys", Meaning: "Beside this program: asks the server for its public keys, without privileges."},
				{Word: "/var/lib/jacamar", Meaning: "State of jacamar-auth: the server's public keys."},
			}},
			{Title: "SEE ALSO", Paragraphs: []string{"jacamar(1), jacamar.toml(5), sudo(8), capabilities(7)"}},
		},
	})
}
