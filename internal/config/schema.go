package config

import (
	"slices"
	"strings"

	"jacamar-ci/internal/settings"
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
	return slices.Concat(
		jobKeys(), directoryKeys(), tokenKeys(),
		engineKeys(settings.Podman, "podman run"), engineKeys(settings.Charliecloud, "ch-run"), engineKeys(settings.Apptainer, "apptainer exec"),
		accountKeys(), privilegeKeys(), listKeys(), runasKeys(), loggingKeys(), journalKeys(), seccompKeys(), limitKeys(),
		submitKeys(), waitKeys(), ruleKeys(),
		imageKeys(), startKeys(), servicesKeys(), imageRuleKeys(), moduleKeys(),
	)
}

// IsArray reports whether a table is an array of tables, one for each rule or module.
func IsArray(table string) bool {
	return strings.HasSuffix(table, ".rule") || strings.HasSuffix(table, ".module")
}

// firstRelease has every key whose row does not name a later one.
const firstRelease = "0.1.0"

// required is the row of a key that a file must have. The example is a value in TOML.
func required(path, example, meaning string) Key {
	_, name := split(path)
	return Key{Path: path, Required: true, Since: firstRelease, Meaning: meaning, Example: name + " = " + example}
}

// defaults is the row of a key with a default value.
func defaults(path string, value any, example, meaning string) Key {
	k := required(path, example, meaning)
	k.Required, k.Default = false, value
	return k
}

// optional is the row of a key that has no value where it is left out, with the effect of
// that.
func optional(path, otherwise, example, meaning string) Key {
	k := required(path, example, meaning)
	k.Required, k.Otherwise = false, otherwise
	return k
}

func keysByPath() map[string]Key {
	all := Reference()
	keys := make(map[string]Key, len(all))
	for _, k := range all {
		keys[k.Path] = k
	}
	return keys
}

func submitKeys() []Key {
	return []Key{
		optional("batch.arguments_variable", "`SCHEDULER_PARAMETERS` alone", `["SITE_PARAMETERS"]`,
			"More CI variables whose text is passed to the scheduler as arguments."),
		defaults("batch.allow_illegal_args", false, `true`,
			"Drop arguments that clash with our own, with a warning; otherwise they fail the job."),
		optional("batch.default_args", "none", `["--partition=ci"]`,
			"Scheduler arguments of every job, before the job's own."),
		optional("batch.env_vars", "none", `["SLURM_CONF=/etc/slurm/slurm.conf"]`,
			"Variables added to the environment of scheduler commands, which has nothing of the users' profiles. A value may refer to it and to those before: PATH=/opt/slurm/bin:$PATH."),
		optional("batch.scheduler_bin", "/usr/local/bin, /usr/bin and /bin", `"/opt/slurm/current/bin"`,
			"Directory of the scheduler's commands. It comes first in their PATH. Profiles, such as /etc/profile.d/slurm.sh, do not count."),
		defaults("batch.slurm_sacct", false, `true`,
			"Query Slurm's accounting for how a job ended."),
	}
}

func waitKeys() []Key {
	return []Key{
		defaults("batch.command_delay", "30s", `"1m"`,
			"Interval between two queries about one job that waits in the queue; longer for one that waits long. A running job, whose end is in a file, is queried at about twice this interval where at most 20 jobs of the host were live when it was submitted, else at five times it and then every five minutes."),
		defaults("batch.nfs_timeout", "1m", `"2m"`,
			"How long to wait for a job's output to appear on shared storage after its end."),
		defaults("batch.wait_for_impossible", false, `true`,
			"Leave a request in the queue that can never start according to the scheduler; otherwise it is cancelled with the reason."),
		optional("batch.pending_timeout", "no limit", `"12h"`,
			"How long a job may wait: for a place below a limit on submitted jobs, and in the queue, before it is cancelled."),
		defaults("batch.cancel_grace", "30s", `"10s"`,
			"How long a cancelled job has between its signal and its removal. It is shorter than `kill_timeout`."),
	}
}

// matcherKeys are the keys of a table of rules that select its jobs.
func matcherKeys(table string) []Key {
	const any = "every job"
	return []Key{
		optional(table+".project", any, `"hpc/climate"`,
			"The rule is for projects whose path matches this pattern."),
		optional(table+".namespace", any, `"hpc/**"`,
			"The rule is for projects whose namespace (the path without the project) matches this pattern."),
		optional(table+".user", any, `"alice"`,
			"The rule is for this local account."),
		optional(table+".ref_protected", any, `true`,
			"The rule is for protected refs (true) or for all others (false)."),
	}
}

func ruleKeys() []Key {
	return append(matcherKeys("batch.rule"), []Key{
		required("batch.rule.args", `["--account=climate"]`,
			"Scheduler arguments of the jobs that match."),
		defaults("batch.rule.required", false, `true`,
			"Fail a job whose own arguments contradict these; otherwise its own win."),
	}...)
}
