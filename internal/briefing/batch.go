package briefing

import (
	"fmt"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
)

// argumentsVariable is the CI variable with a job's scheduler arguments on every
// site; [batch] arguments_variable names more.
const argumentsVariable = "SCHEDULER_PARAMETERS"

// longestArguments bounds what is carried of one variable, in bytes. It is more
// than jacamar accepts, so that one which is too long is seen to be.
const longestArguments = 64 << 10

// Batch is what the batch executors are told; nil for the others. matches says
// which rules are for the job. Rules of other projects stay here: they are
// nobody else's business.
func Batch(site config.Config, env customexec.Environ, matches func(config.Rule) (bool, error)) (*ipc.Batch, error) {
	if site.General.Executor == config.Shell {
		return nil, nil
	}
	b := site.Batch
	out := &ipc.Batch{
		SchedulerBin: b.SchedulerBin, Env: b.EnvVars,
		CommandDelay: b.CommandDelay, NFSTimeout: b.NFSTimeout, PendingTimeout: b.PendingTimeout, CancelGrace: b.CancelGrace,
		WaitForImpossible: b.WaitForImpossible, AllowIllegalArgs: b.AllowIllegalArgs, Accounting: b.SlurmSacct,
		DefaultArgs: b.DefaultArgs, Arguments: arguments(b, env),
	}
	for i, rule := range b.Rules {
		ok, err := matches(rule)
		if err != nil {
			return nil, err
		}
		if ok {
			out.Rules = append(out.Rules, ipc.BatchRule{Name: RuleName(i, rule), Args: rule.Args, Required: rule.Required})
		}
	}
	return out, nil
}

// arguments are the job's own, in the order of the site's list.
func arguments(b config.Batch, env customexec.Environ) (all []ipc.BatchArguments) {
	names := []string{argumentsVariable}
	for _, v := range b.ArgumentsVariable {
		if string(v) != argumentsVariable {
			names = append(names, string(v))
		}
	}
	for _, name := range names {
		if text, ok := env.Variable(name); ok {
			all = append(all, ipc.BatchArguments{Variable: name, Text: []byte(job.Cut(text, longestArguments))})
		}
	}
	return all
}

// RuleName is how error messages call a rule: by its place, and by what it is
// for.
func RuleName(i int, r config.Rule) string {
	name := fmt.Sprintf("[[batch.rule]] number %d", i+1)
	switch {
	case r.Project != "":
		name += fmt.Sprintf(" (project %q)", r.Project)
	case r.Namespace != "":
		name += fmt.Sprintf(" (namespace %q)", r.Namespace)
	}
	return name
}
