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
			"`jacamar-admin` is for the administrators of a CI resource. It writes a first configuration, checks an installation, and explains the decision about a job. It lists live and ended jobs, keeps new ones out, and ends jobs.",
			"It has no rights of its own: no setuid bit and no file capability. Run it as root. Where jacamar-auth(8) has no rights of its own either (`downscope` is sudo or none), run it as the account of the runner's service: what the check can see depends on the account.",
			"It judges the jacamar-auth(8) in its own directory. The commands about jobs read the journal that jacamar-auth(8) writes in `journal` below `state_dir`; write options before the numbers of jobs.",
		},
		After: []docs.Section{
			{Title: "EXIT STATUS", Terms: []docs.Term{
				{Word: "0", Meaning: "The command succeeded. For `check`: all is well. For `explain`: the job would run."},
				{Word: "1", Meaning: "For `explain`: the job would be refused. For `selftest`: a job fails, or something of it is left. For `reap`: a job could not be settled. For `keys refresh` and `bugreport`: it failed."},
				{Word: "1, 2, 3", Meaning: "For `check`, `status --check` and the check at the end of `init`, as monitoring plugins have it: warnings, failures, could not look. `init` also ends with 3 where it failed."},
				{Word: "2", Meaning: "The command line is wrong, or another command failed."},
			}},
			{Title: "FILES", Terms: []docs.Term{
				{Word: "/etc/gitlab-runner/jacamar.toml", Meaning: "The usual place of the configuration; see jacamar.toml(5)."},
				{Word: "/var/lib/jacamar", Meaning: "State of jacamar-auth(8): the server's public keys, the operator's log and the journal."},
			}},
			{Title: "EXAMPLES", Terms: []docs.Term{
				{Word: "jacamar-admin init --runner-config /etc/gitlab-runner/config.toml", Meaning: "Prompts for what it needs, writes a configuration, makes the runner call jacamar-auth, and checks the installation."},
				{Word: "jacamar-admin init --wire --runner-config /etc/gitlab-runner/config.toml --runner second", Meaning: "Makes another runner use the same configuration."},
				{Word: "jacamar-admin check --account alice", Meaning: "Checks the installation, and runs a job of its own as alice."},
				{Word: "jacamar-admin check --json | jq -r '.lines[] | select(.result != \"ok\") | .id'", Meaning: "The stable ids of all findings, for a monitor."},
				{Word: "jacamar-admin explain --user alice --project group/project --ref main", Meaning: "Shows which rule allows or refuses the jobs of a user."},
				{Word: "jacamar-admin config --effective", Meaning: "Prints every key with its value, and where that comes from."},
				{Word: "jacamar-admin drain --message 'Maintenance until 14:00' --until 4h --wait", Meaning: "Keeps new jobs out and returns when the last one has ended."},
				{Word: "jacamar-admin bugreport", Meaning: "Writes an archive without secrets for the maintainers."},
			}},
			{Title: "SEE ALSO", Paragraphs: []string{"jacamar-auth(8), jacamar-keys(8), jacamar(1), jacamar.toml(5)"}},
		},
	})
}
