package batch

import (
	"slices"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/jobrun/internal/loginshell"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// refused is the outcome of a request that the batch system read and declined. It
// is the site's failure when what is declined is an argument of the site's
// configuration, and of none of the job's.
func (s *submission) refused(message scheduler.Message) error {
	s.show(message)
	s.Voice.Section("jacamar_batch", "the command that was refused", []string{commandLine(s.command)})
	why := message.Lead
	if why == "" {
		why = s.command.Argv[0] + " printed nothing"
	}
	named := message.Named(s.args)
	if _, given := ofJob(named); len(named) > 0 && !given {
		return failure.Systemf("%s refused the site's argument %q (%s): %s", s.Scheduler.Name(),
			strings.Join(named[0].Words, " "), named[0].Source.Name, message.Text()).
			WithHint("this is not the job's argument: ask the resource's administrators")
	}
	return failure.Buildf("%s refused the job: %s", s.Scheduler.Name(), why).WithHint("%s", s.advice(named))
}

// ofJob is the first of the arguments that is the job's own.
func ofJob(args []scheduler.Argument) (a scheduler.Argument, given bool) {
	i := slices.IndexFunc(args, func(a scheduler.Argument) bool { return !a.Source.Site })
	if i < 0 {
		return a, false
	}
	return args[i], true
}

// advice names the job's argument that has to change.
func (s *submission) advice(named []scheduler.Argument) string {
	if a, given := ofJob(named); given {
		return "change " + strings.Join(a.Words, " ") + " in " + a.Source.Name
	}
	if a, given := ofJob(s.args); given {
		return "look at " + a.Source.Name
	}
	return "this job has no arguments of its own; it can give some in SCHEDULER_PARAMETERS"
}

// show repeats what a program printed, where it is more than one line.
func (s *submission) show(message scheduler.Message) {
	if len(message.Lines) < 2 {
		return
	}
	s.Voice.Note("%s printed:", s.command.Argv[0])
	for _, line := range message.Lines {
		s.Voice.Note("    %s", line)
	}
}

// clue is the short form of an answer that decides nothing.
func clue(r scheduler.Reply, message scheduler.Message) string {
	switch {
	case r.Err != nil && message.Lead != "":
		return r.Err.Error() + ", after it printed: " + message.Lead
	case r.Err != nil:
		return r.Err.Error()
	case message.Lead == "":
		return "it printed nothing"
	}
	return message.Lead
}

// longestCommand bounds what is shown of a command in bytes.
const longestCommand = 4 << 10

// commandLine is a command as one would type it.
func commandLine(c scheduler.Command) string {
	var words []string
	for _, w := range slices.Concat(c.Env, c.Argv) {
		words = append(words, shown(w))
	}
	line := strings.Join(words, " ")
	if len(line) > longestCommand {
		line = strings.ToValidUTF8(line[:longestCommand], "") + "…"
	}
	return line
}

// shown is a word of a command line, in quotes where a shell would need them.
func shown(word string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._+-=:,@%"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return loginshell.Quote(word)
}
