package container

import "strings"

// Descriptors inside a container, beside 0 to 2.
const (
	ScriptFD = 3 // the script, from its start
	ReadyFD  = 4 // takes EnteredByte when the container runs
	// InnerDescriptors is how many there are from 3 on.
	InnerDescriptors = 2
)

// EnteredByte is what the bootstrap writes once it runs inside the container.
const EnteredByte = 'c'

// NoShellCode is the exit code of the bootstrap when the image has no shell,
// as a shell's own for a command that is not there (POSIX, Shell Command Language 2.8.2).
const NoShellCode = 127

// shells are where GitLab Runner's docker executor looks for a shell, in its order
// (shells/bash.go, BashDetectShellScript).
var shells = []string{
	"/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash", "/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh", "/busybox/sh",
}

// Bootstrap returns the argv that an entrypoint gets as its arguments: a shell that
// reports that the container runs and becomes the shell of the script. It is POSIX
// shell, since the image may have no bash.
func Bootstrap() []string {
	return []string{"sh", "-c", "printf " + string(EnteredByte) + " >&4 2>/dev/null || exit 64\n" +
		"for shell in " + strings.Join(shells, " ") + "; do\n" +
		"\t[ -x \"$shell\" ] && exec \"$shell\" 0<&3 3<&- 4>&-\n" +
		"done\necho 'the image has no shell' >&2\nexit 127\n"}
}
