package container

import (
	"strings"

	"jacamar-ci/internal/job"
)

// Node is a start of a container on a node of a batch system, where only a shell is.
type Node struct {
	Engine  Engine
	Settled Settled
	// Session's State exists on the node and is empty.
	Session Session
	User    string // the account's name
	Dirs    []string
	WorkDir string
	Stage   string
	PassEnv []string
	// Wires are below a directory of Settled.Binds.
	Wires Wires
}

// node removes everything of the node's environment except what is passed on: the
// variables of a login profile or of a module could break the engine.
const node = `for name in $(compgen -A function); do unset -f "$name"; done
for name in $(compgen -e); do
	case $name in
	@PASS@) ;;
	*) unset "$name" ;;
	esac
done 2> /dev/null
export @ENV@
ln -s @PLACE@ @STATE@/@IMAGE@ && cd / || exit 1
@SERVICES@exec @COMMAND@
`

// Text returns the start as shell text for bash.
func (n Node) Text() string {
	state := n.Session.State.String()
	start := n.Settled.Start(n.Session, n.Wires, n.Stage, n.WorkDir)
	start.PassEnv = n.PassEnv
	command := n.Settled.Services.Wrap(n.Engine.Run(start), state)
	env := append([]string{
		"PATH=" + strings.Join(n.Dirs, ":"), "HOME=" + state, "USER=" + n.User, "LOGNAME=" + n.User, "TMPDIR=" + state,
	}, command.Env...)
	pass := "''" // a pattern that no name matches
	if len(n.PassEnv) > 0 {
		pass = strings.Join(n.PassEnv, "|")
	}
	return strings.NewReplacer(
		"@PASS@", pass, "@ENV@", job.ShellQuote(env...), "@PLACE@", job.ShellQuote(n.Settled.Place.Path.String()), "@STATE@", job.ShellQuote(state),
		"@IMAGE@", Image, "@SERVICES@", n.services(), "@COMMAND@", job.ShellQuote(command.Argv...),
	).Replace(node)
}

// services writes the supervisor's program, where the job has services. printf(1) is a
// builtin of bash: the text is in no argv.
func (n Node) services() string {
	if n.Settled.Services == nil {
		return ""
	}
	text := n.Settled.Services.Supervisor(n.Engine, n.Session)
	return "printf %s " + job.ShellQuote(text) + " >" + job.ShellQuote(n.Session.State.String()+"/"+ServicesFile) + " || exit 1\n"
}

// Outcome is the outcome of a start on a node, by the marks without the last newline and
// by the exit code of the engine's command.
func (n Node) Outcome(marks string, code int) error {
	err := Outcome(n.Engine, ParseMarks(marks+"\n"), code, false)
	if n.Settled.Dash {
		err = ExplainDash(err)
	}
	return err
}

// Files returns the wires of a start whose marks another process reads in dir.
func Files(dir, script, marks string) Wires {
	return Wires{Script: job.ShellQuote(dir + "/" + script), Marks: job.ShellQuote(dir + "/" + marks)}
}
