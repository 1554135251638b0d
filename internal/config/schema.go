package config

import (
	"slices"
	"strings"
)

// Key describes one key of the configuration.
type Key struct {
	// Path is the key with its tables, "auth.runas.sha256"; the keys of
	// [[batch.rule]] are "batch.rule.args".
	Path string
	// Default is the value of a key that is left out, as TOML has it; nil for none.
	// Otherwise is the effect of leaving out a key without Default.
	Default   any
	Otherwise string
	Required  bool
	Since     string
	Meaning   string
	Example   string // a line of TOML
}

// Reference returns every key, table by table, in the order of the manual.
func Reference() []Key {
	return slices.Concat(generalKeys(), tokenKeys(), enginesKeys(), authKeys(), batchKeys(), containerKeys())
}

// IsArray reports whether a table is an array of tables, one for each rule or module.
func IsArray(table string) bool {
	return strings.HasSuffix(table, ".rule") || strings.HasSuffix(table, ".module")
}

const first = "0.1.0"

func keysByPath() map[string]Key {
	all := Reference()
	keys := make(map[string]Key, len(all))
	for _, k := range all {
		keys[k.Path] = k
	}
	return keys
}

func batchKeys() []Key { return slices.Concat(submitKeys(), waitKeys(), ruleKeys()) }

func submitKeys() []Key {
	return []Key{
		{
			Path: "batch.arguments_variable", Otherwise: "`SCHEDULER_PARAMETERS` alone", Since: first,
			Meaning: "More CI variables whose text is passed to the scheduler as arguments.",
			Example: `arguments_variable = ["SITE_PARAMETERS"]`,
		},
		{
			Path: "batch.allow_illegal_args", Default: false, Since: first,
			Meaning: "Drop arguments that clash with our own, with a warning; otherwise they fail the job.",
			Example: `allow_illegal_args = true`,
		},
		{
			Path: "batch.default_args", Otherwise: "none", Since: first,
			Meaning: "Scheduler arguments of every job, before the job's own.",
			Example: `default_args = ["--partition=ci"]`,
		},
		{
			Path: "batch.env_vars", Otherwise: "none", Since: first,
			Meaning: "Variables added to the environment of scheduler commands, which has nothing of the users' profiles. A value may refer to it and to those before: PATH=/opt/slurm/bin:$PATH.",
			Example: `env_vars = ["SLURM_CONF=/etc/slurm/slurm.conf"]`,
		},
		{
			Path: "batch.scheduler_bin", Otherwise: "/usr/local/bin, /usr/bin and /bin", Since: first,
			Meaning: "Directory of the scheduler's commands. It comes first in their PATH. Profiles, such as /etc/profile.d/slurm.sh, do not count.",
			Example: `scheduler_bin = "/opt/slurm/current/bin"`,
		},
		{
			Path: "batch.slurm_sacct", Default: false, Since: first,
			Meaning: "Query Slurm's accounting for how a job ended.",
			Example: `slurm_sacct = true`,
		},
	}
}

func waitKeys() []Key {
	return []Key{
		{
			Path: "batch.command_delay", Default: "30s", Since: first,
			Meaning: "Interval between two queries about one job that waits in the queue; longer for one that waits long. A running job is queried at five times this interval and then every five minutes: its end is in a file.",
			Example: `command_delay = "1m"`,
		},
		{
			Path: "batch.nfs_timeout", Default: "1m", Since: first,
			Meaning: "How long to wait for a job's output to appear on shared storage after its end.",
			Example: `nfs_timeout = "2m"`,
		},
		{
			Path: "batch.wait_for_impossible", Default: false, Since: first,
			Meaning: "Leave a request in the queue that can never start according to the scheduler; otherwise it is cancelled with the reason.",
			Example: `wait_for_impossible = true`,
		},
		{
			Path: "batch.pending_timeout", Otherwise: "no limit", Since: first,
			Meaning: "How long a job may wait: for a place below a limit on submitted jobs, and in the queue, before it is cancelled.",
			Example: `pending_timeout = "12h"`,
		},
		{
			Path: "batch.cancel_grace", Default: "30s", Since: first,
			Meaning: "How long a cancelled job has between its signal and its removal. It is shorter than `kill_timeout`.",
			Example: `cancel_grace = "10s"`,
		},
	}
}

// matcherKeys are the keys of a table of rules that select its jobs.
func matcherKeys(table string) []Key {
	const any = "every job"
	return []Key{
		{
			Path: table + ".project", Otherwise: any, Since: first,
			Meaning: "The rule is for projects whose path matches this pattern.",
			Example: `project = "hpc/climate"`,
		},
		{
			Path: table + ".namespace", Otherwise: any, Since: first,
			Meaning: "The rule is for projects whose namespace (the path without the project) matches this pattern.",
			Example: `namespace = "hpc/**"`,
		},
		{
			Path: table + ".user", Otherwise: any, Since: first,
			Meaning: "The rule is for this local account.",
			Example: `user = "alice"`,
		},
		{
			Path: table + ".ref_protected", Otherwise: any, Since: first,
			Meaning: "The rule is for protected refs (true) or for all others (false).",
			Example: `ref_protected = true`,
		},
	}
}

func ruleKeys() []Key {
	return append(matcherKeys("batch.rule"), []Key{
		{
			Path: "batch.rule.args", Required: true, Since: first,
			Meaning: "Scheduler arguments of the jobs that match.",
			Example: `args = ["--account=climate"]`,
		},
		{
			Path: "batch.rule.required", Default: false, Since: first,
			Meaning: "Fail a job whose own arguments contradict these; otherwise its own win.",
			Example: `required = true`,
		},
	}...)
}
