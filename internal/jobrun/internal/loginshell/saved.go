package loginshell

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"jacamar-ci/internal/job"
)

// SavedFile is where a job keeps what its first login has left, in its own directory.
const SavedFile = "login-environment"

// saveLogin writes what a program that the script starts has from the profiles: umask,
// limits, exported variables and functions. It runs after reset, by builtins alone.
// Unexported variables, functions and aliases are for scripts that log in themselves.
//
// A limit of the profiles on the size of files applies here as well. It must not end the
// shell (SIGXFSZ): what is saved is incomplete then, and not used.
const saveLogin = `
{
	trap '' XFSZ;
	umask -p;
	for JACAMAR_NAME in c d e f i l m n q r s t u v x; do
		if ulimit -S$JACAMAR_NAME >/dev/null; then
			printf 'ulimit -S%s ' $JACAMAR_NAME; ulimit -S$JACAMAR_NAME;
			printf 'ulimit -H%s ' $JACAMAR_NAME; ulimit -H$JACAMAR_NAME;
		fi;
	done;
	unset JACAMAR_NAME; export -p; export -fp; printf '` + savedEnd + `\n'; trap - XFSZ;
} 2>/dev/null >/proc/$$/fd/6;`

// savedEnd is the last line of what is saved: without it, something is missing.
const savedEnd = `# saved`

// IsWhole reports whether Save has written all of a text.
func IsWhole(saved []byte) bool { return bytes.HasSuffix(saved, []byte("\n"+savedEnd+"\n")) }

// Restore returns what a shell whose environment is env reads from SavedFD, so that
// programs that it starts have what they had in the shell that was saved. A variable of
// env that the profiles have removed is removed again; those that are named as own keep
// their value from env.
func Restore(saved []byte, env []string, own ...string) []byte {
	var head, tail strings.Builder
	head.WriteString("shopt -s extglob\n") // for functions that have such patterns
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		head.WriteString("unset -v " + name + "\n")
		if slices.Contains(own, name) {
			tail.WriteString("[[ ! ${" + name + "+x} ]] || " + name + "=" + job.ShellQuote(value) + "\n")
		}
	}
	for _, name := range readOnly {
		if exports(saved, name) {
			tail.WriteString("export " + name + "\n")
		}
	}
	return []byte(head.String() + string(saved) + tail.String())
}

// readOnly are the variables that bash sets itself and refuses to assign (bash(1),
// Shell Variables). They can be exported.
var readOnly = []string{"BASHOPTS", "EUID", "PPID", "SHELLOPTS", "UID"}

// exports reports whether a text of Save has an exported read-only variable.
func exports(saved []byte, name string) bool {
	return regexp.MustCompile(`(?m)^declare -[a-zA-Z]*x[a-zA-Z]* ` + name + `=`).Match(saved)
}
