package batch

import (
	"strings"

	"jacamar-ci/internal/jobrun/internal/loginshell"
)

// Payload runs the script on the node instead of a login shell. Its text is for bash; it
// is not part of what is submitted.
type Payload struct {
	Text string
	// State is a directory on the node's own disk, of which no other has the name. The
	// wrapper makes it before the payload, locks it by flock(2) and removes it at the
	// end; its parent directory exists.
	State string
	// Outcome returns the result by what the payload wrote into MarksFile, without the
	// last newline, and by its exit code.
	Outcome func(marks string, code int) error
}

// Files of a payload's submission, below its Directory.
const (
	ScriptFile = scriptFile
	MarksFile  = marksFile
)

// Directory is the directory of the submission.
func (t Task) Directory() string { return string(t.dir()) }

// wrapperPayload runs a payload. A state directory that is not locked belongs to a start
// that was killed; one that is only seconds old may be about to be locked. The exit
// code that the payload recorded is that of the script, whatever the programs around it
// end with.
const wrapperPayload = `
state=@STATE@
remove_state() {
	chmod -R u+rwX "$state"
	rm -rf "$state"
} 2> /dev/null
sweep() {
	find "${state%/*}" -maxdepth 1 -name 'jc.*' -type d -user "$EUID" -mmin +1 -exec flock -n {} true \; -exec chmod -R u+rwX {} \; -exec rm -rf {} \;
}
payload() {
	"$shell" "$dir/payload" < /dev/null 2>&9 7>&- 8>&- 9>&-
}
{
	sweep
	if (umask 077 && mkdir "$state") && exec 7< "$state" && flock -n 7; then
		payload
		code=$?
	else
		echo "cannot make the directory $state on $HOSTNAME" >&9
		code=1
	fi
	marks=$(head -c 16 "$dir/marks")
} 2> /dev/null
marks=${marks//[!a-z0-9]/}
began=0
case $marks in
cs*) began=1 ;;
esac
if [[ $marks =~ ^cse([0-9]{1,3})$ ]]; then
	code=${BASH_REMATCH[1]}
fi
: >| "$dir/script"
`

func (p Payload) body() string {
	return strings.NewReplacer("@STATE@", loginshell.Quote(p.State)).Replace(wrapperPayload)
}
