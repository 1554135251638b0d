package batch

import (
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
)

// Payload runs the script on the node instead of a login shell. Its text is for bash; it
// is not part of what is submitted.
type Payload struct {
	Text string
	// State is a directory on the node's own disk, of which no other has the name. The
	// wrapper makes it before the payload, locks it by flock(2) and removes it at the
	// end; its parent directory exists.
	State string
	// Helpers are names of processes (comm in proc(5)) that serve the script and must
	// outlive it: no request to stop is forwarded to them.
	Helpers []string
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

// payloadForwarder forwards a request to stop. Some batch systems signal the session of the
// wrapper, which a container may have left. Others signal all processes of the job: then the
// probe, which has a session of its own, has ended, and nothing is forwarded. Both end with
// the wrapper, which holds the pipe that they read. The delay is longer than a batch system
// needs to signal one process after the other.
//
// Parents are signalled before their children: with set -e a shell would end with the code
// of its killed child before its own trap runs.
//
// The name of a process, in parentheses, may contain any character; the state, the parent,
// the group and the session follow it (proc_pid_stat(5)).
const payloadForwarder = `
signal_sessions() {
	local line pid at depth fields targets=()
	local -A parent=() session=() name=()
	for pid in /proc/[0-9]*; do
		IFS= read -r -d '' line < "$pid/stat" || [ -n "$line" ] || continue
		pid=${pid#/proc/}
		fields=(${line##*) })
		parent[$pid]=${fields[1]} session[$pid]=${fields[3]}
		line=${line#*\(}
		name[$pid]=${line%)*}
	done
	for pid in "${!parent[@]}"; do
		case ${name[$pid]} in
		@HELPERS@) continue ;;
		esac
		[ "$pid" != "$probe" ] && [ "${session[$pid]}" != "${session[$$]}" ] || continue
		at=$pid depth=0
		while [ "${at:-0}" -gt 1 ] && [ "$at" != $$ ]; do
			at=${parent[$at]} depth=$((depth + 1))
		done
		[ "$at" != $$ ] || targets[depth]+=" $pid"
	done
	kill -TERM ${targets[*]}
}
forward_stop() {
	local probe term=0
	trap 'term=1' TERM
	setsid "$shell" -c 'read -r' <&0 &
	probe=$!
	wait "$probe"
	[ "$term" = 1 ] || return
	read -r -t @DELAY@ -u 8
	! kill -0 "$probe" || signal_sessions
	kill "$probe"
}
`

// forwardDelay is the time before a request to stop is forwarded.
const forwardDelay = time.Second

// wrapperPayload runs a payload. A state directory that is not locked belongs to a start
// that was killed. A new one has a name with a dot until it is locked, as other jobs remove
// what is not: another random name, because other accounts see it and could make a file or a
// link of the one that follows. What has that name, if not made here, is not removed either.
// The exit code that the payload recorded is that of the script, whatever the programs around
// it end with.
const wrapperPayload = payloadForwarder + `
state=@STATE@
remove_state() {
	chmod -R u+rwX "$state"
	rm -rf "$state"
} 2> /dev/null
sweep() {
	find "${state%/*}" -maxdepth 1 \( -name 'jc.*' -o -name '.jc.*' \) -type d -user "$EUID" -mmin +1 -exec flock -n {} true \; -exec chmod -R u+rwX {} \; -exec rm -rf {} \;
}
make_state() {
	local new
	new=$(umask 077 && mktemp -d "${state%/*}/.jc.XXXXXXXXXX") && exec 7< "$new" && flock -n 7 && mv -T "$new" "$state"
}
payload() {
	"$shell" "$dir/payload" < /dev/null 2>&9 5>&- 7>&- 8>&- 9>&-
}
{
	exec 5> >(forward_stop > /dev/null 9>&-)
	sweep
	if make_state; then
		payload
		code=$?
	else
		echo "cannot make the directory $state on $HOSTNAME" >&9
		code=1
		remove_state() { :; }
	fi
	exec 5>&-
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
	helpers := "''" // a pattern that no name matches
	if len(p.Helpers) > 0 {
		quoted := make([]string, len(p.Helpers))
		for i, name := range p.Helpers {
			quoted[i] = job.ShellQuote(name)
		}
		helpers = strings.Join(quoted, "|")
	}
	return strings.NewReplacer(
		"@STATE@", job.ShellQuote(p.State), "@HELPERS@", helpers, "@DELAY@", strconv.FormatFloat(forwardDelay.Seconds(), 'f', 3, 64),
	).Replace(wrapperPayload)
}
