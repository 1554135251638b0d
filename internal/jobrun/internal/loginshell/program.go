package loginshell

import (
	"bytes"
	"strconv"
	"strings"

	"jacamar-ci/internal/job"
)

// Descriptors of the guard after 0 to 2. Only ScriptFD must be there; the guard
// itself uses 8 and 9.
const (
	ScriptFD = 3 // the script's file, see Content; for Eval, where the values go
	PassedFD = 4 // takes a line when the profiles are done
	GateFD   = 5 // has the line that Gate waits for
	SavedFD  = 6 // takes what Save writes; with Saved, has it
	HiddenFD = 7 // takes what the profiles print, with Hide
)

// Profiles is what the login shell reads before the script.
type Profiles string

const (
	// Login is what `bash --login` reads: /etc/profile, the first profile of the
	// home, and the file that BASH_ENV names (bash(1), INVOCATION).
	Login Profiles = "login"
	// Saved is what an earlier login shell of the job has left: see Restore.
	Saved Profiles = "saved"
	// Environment is the file that BASH_ENV names.
	Environment Profiles = "environment"
	// None is nothing at all.
	None Profiles = "none"
)

// Program is what the two shells do. The script begins in the directory in which
// the guard was started, wherever the profiles went.
type Program struct {
	// Gate makes the login shell wait for a line from GateFD before it reads the
	// script.
	Gate bool
	// Hide sends what the profiles print to HiddenFD.
	Hide bool
	// Save writes to SavedFD what the profiles leave to the programs of a script.
	Save bool
}

// Args returns the arguments of bash for a program, its own name first.
func Args(program string, p Profiles) []string {
	return []string{"bash", "--login", "--noprofile", "-c", program, "bash", string(p)}
}

// Environ returns the environment for a guard. BASH_ENV has another name in it:
// bash would read that file before the program.
func Environ(env []string) []string {
	out := make([]string, len(env))
	for i, pair := range env {
		if value, ok := strings.CutPrefix(pair, "BASH_ENV="); ok {
			pair = "JACAMAR_BASH_ENV=" + value
		}
		out[i] = pair
	}
	return out
}

// Content returns what the script's file holds: the script without zero bytes,
// which bash passes over, and one at the end.
func Content(script []byte) []byte {
	return append(bytes.ReplaceAll(script, []byte{0}, nil), 0)
}

// Run returns the program that runs the script from the file at ScriptFD. Its
// exit status is the script's, where the script began.
func (p Program) Run() string {
	gate := ""
	if p.Gate {
		gate = waitAtGate
	}
	save := ""
	if p.Save {
		save = flat(saveLogin)
	}
	return p.text("", save+" "+strings.Replace(flat(script), "@GATE@", gate, 1))
}

// Eval returns the program that expands words, each of them quoted for the
// shell, and writes their values to ScriptFD, a zero byte behind each. Where a
// profile ends the shell, the values are those of that moment.
func (p Program) Eval(words ...string) string {
	expand := "trap - EXIT; printf '%s\\0' " + strings.Join(words, " ") + " >/proc/$$/fd/" + strconv.Itoa(ScriptFD)
	return p.text("trap "+job.ShellQuote(expand)+" EXIT;", expand+";")
}

// text puts a program together: before runs ahead of the profiles, after behind
// them. Both are on one line.
func (p Program) text(before, after string) string {
	hide := ""
	if p.Hide {
		hide = hideOutput
	}
	return strings.NewReplacer(
		"@HIDE@", hide, "@BEFORE@", before, "@AFTER@", after,
		"@BUILTINS@", builtins, "@RESERVED@", reserved, "@SIGNALS@", signals, "@TUNING@", tuning,
	).Replace(flat(frame))
}

// flat puts shell text on one line: bash counts the lines of an evaluated script
// on from the line that evaluates it.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }
