package container

import (
	"strconv"
	"strings"
)

// Descriptors in a container, in addition to 0 to 2.
const (
	ScriptFD = 3 // the script, from its start
	MarksFD  = 4 // receives the marks
	// InnerDescriptors is how many there are from 3 on.
	InnerDescriptors = 2
)

// Shells are the paths that GitLab Runner's docker executor tries, in its order
// (shells/bash.go, BashDetectShellScript).
func Shells() []string {
	return []string{
		"/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash", "/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh", "/busybox/sh",
	}
}

// Wires is how the bootstrap reads the script and writes the marks: by paths inside the
// container, each quoted for a shell where needed. The zero value means ScriptFD and
// MarksFD.
type Wires struct{ Script, Marks string }

// bootstrap is POSIX shell: the image may have no bash. It remains the parent of the
// script's shell, because the first process of a PID namespace ignores signals without a
// handler and has to reap orphans (pid_namespaces(7)): the script is an ordinary process,
// and its exit code is reported even where the entrypoint or the engine replaces it. The
// handler keeps the bootstrap alive when all processes of a job receive TERM; other than
// an ignored signal, it does not apply to the script.
const bootstrap = `trap : HUP INT TERM
printf c @MARKS@ 2>/dev/null || exit 64
for shell in @SHELLS@; do
	[ -x "$shell" ] || continue
	printf s @MARKS@
	"$shell" @SCRIPT@
	code=$?
	printf 'e%d\n' "$code" @MARKS@
	exit "$code"
done
echo 'the image has no shell' >&2
exit 127
`

// Bootstrap returns the text of the bootstrap.
func (w Wires) Bootstrap() string {
	script, marks := "0<&3 3<&- 4>&-", ">&4"
	if w.Script != "" {
		script, marks = "0<"+w.Script, ">>"+w.Marks
	}
	return strings.NewReplacer("@MARKS@", marks, "@SCRIPT@", script, "@SHELLS@", strings.Join(Shells(), " ")).Replace(bootstrap)
}

// Progress is how far a start came, from the marks that the bootstrap wrote:
//
//	c    it runs inside the container
//	s    it has found a shell, and starts the script
//	eN\n the script has ended with the exit code N
type Progress struct {
	Inside, Began, Ended bool
	// Code is the script's exit code, 128 and the signal's number for a killed one.
	Code int
}

// MaxMarks bounds the text of the marks, in bytes.
const MaxMarks = 16

// ParseMarks parses the marks. A script can write to its own marks; what is not in the
// order of the bootstrap is not counted.
func ParseMarks(text string) (p Progress) {
	rest, inside := strings.CutPrefix(text, "c")
	if p.Inside = inside; !inside {
		return p
	}
	if rest, p.Began = strings.CutPrefix(rest, "s"); !p.Began {
		return p
	}
	number, found := strings.CutPrefix(rest, "e")
	number, _, whole := strings.Cut(number, "\n")
	if !found || !whole {
		return p
	}
	code, err := strconv.ParseUint(number, 10, 8)
	p.Code, p.Ended = int(code), err == nil
	return p
}
