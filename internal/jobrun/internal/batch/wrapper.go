package batch

import (
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/job"
	"jacamar-ci/internal/joblog"
	"jacamar-ci/internal/jobrun/internal/loginshell"
)

// wrapperBegin, one of the bodies and wrapperEnd are the script that is submitted. It
// contains no part of the job's own script, which may contain tokens: batch systems keep
// submitted scripts in directories and databases that other users can read.
//
// The traps have no action of their own. bash waits for the script before it runs a
// trap; without one, the signal that ends the script would also end the wrapper before
// it can record the exit status. Messages of bash about a killed script are discarded.
// The wrapper opens the log itself: many batch systems keep a job's output on the node
// until the end. The end status contains the log's length on the node, so that the
// engine can wait for all of it.
//
// The script's file is empty once the script has started (loginshell). Only the shell
// that the wrapper waits for can empty it, so a file that is not empty afterwards may
// run again. Descriptor 8 is a pipe that receives a line when the profiles are done.
const wrapperBegin = `#!@SHELL@
# Submitted by Jacamar CI: runs the job's script once and records its exit status.
dir=@DIR@
shell=@QUOTED@
term=0
trap 'term=1' TERM
trap : @SIGNALS@
now() { printf '%(%s)T' -1; }
marks=
remove_state() { :; }

set -o noclobber
if ! { printf 'node=%s\nstart=%s\n' "$HOSTNAME" "$(now)" > "$dir/started"; } 2> /dev/null; then
	echo 'This job was cancelled, or has run before. It does not run again.' >&2
	exit 75
fi
[ ! -w "$dir/log" ] || exec >> "$dir/log" 2>&1
exec 8<> <(:) 9>&2
`

// signals are those, next to TERM, of which the wrapper ends by default, if it is not at
// fault itself: users can have a batch system send any of them, and a script that signals
// its process group (kill -PIPE 0) signals the wrapper too. The last ones are the real-time
// signals.
const signals = "HUP INT QUIT ABRT USR1 USR2 PIPE ALRM STKFLT XCPU XFSZ VTALRM PROF IO PWR SYS {34..64}"

// wrapperLogin runs the script in a login shell. The output of the profiles goes to a file
// of its own. Descriptor 5 is the gate at which the shell waits for its script until watch
// has written that output into the log; watch holds the other end alone, so that its death
// is the end of the pipe. Signals to all processes of the job do not end it.
const wrapperLogin = `
if [ -n "${BASH_ENV+x}" ]; then
	export JACAMAR_BASH_ENV="$BASH_ENV"
	unset BASH_ENV
fi
login() {
	"$shell" --login --noprofile -c @PROGRAM@ bash "$1" < /dev/null 2>&9 3< "$dir/script" 4>&8 7>> "$dir/printed" 8>&- 9>&-
}
waiting() { [ -s "$dir/script" ]; }
fold() {
	local LC_ALL=C printed more=
	printed=$(tail -c @MOST@ <&6)
	[ -n "$printed" ] || return
	[ "${#printed}" -lt @MUCH@ ] || more=' (its end)'
	printf @FOLD@ -1 "$HOSTNAME" "$more"
	printf '%s\n' "$printed"
	case $printed in
	*$'\e'*) printf '\e[0m' ;;
	esac
	printf @FOLDED@ -1
}
watch() {
	local line
	trap '' TERM @SIGNALS@
	exec 6< "$dir/printed"
	if ! read -r -t @NOTICE@ -u 8 line; then
		printf @SLOW@ >&9
		head -c @MOST@ <&6 >&9
		read -r -u 8 line
	fi
	[ -n "$line" ] || @HIDE@ fold >&9
	echo
}
warn() {
	[ ! -e @WARNED@ ] || return
	: > @WARNED@
	printf @ENDED@ "exit code $code"
	tail -c @MOST@ "$dir/printed"
} >&9

{
	exec 5< <(watch)
	login @PROFILES@
	code=$?
	echo ended >&8
	read -r -u 5
	if waiting && [ "$term" = 1 ]; then
		printf @STOPPED@ >&9
		[ "$code" != 0 ] || code=143
	elif waiting; then
		warn
		login none 5< <(echo)
		code=$?
	fi
} 2> /dev/null
began=1
if waiting; then
	began=0
	[ "$code" != 0 ] || code=1
fi
`

const wrapperEnd = `
set +o noclobber
{ size=$(stat -L -c %s /dev/fd/3 2> /dev/null); } 3>&1
{
	printf 'code=%s\nbegan=%s\nterm=%s\nsize=%s\nend=%s\nmarks=%s\n' "$code" "$began" "$term" "${size:--1}" "$(now)" "$marks" && times
} > "$dir/ended.new" &&
	mv -f "$dir/ended.new" "$dir/ended"
remove_state
exit "$code"
`

// profileNotice is the time after which the wrapper reports slow profiles.
const profileNotice = 15 * time.Second

// wrapperParams are the values that a wrapper depends on.
type wrapperParams struct {
	dir           directory
	shell         string // bash's path
	profiles      loginshell.Profiles
	profileNotice time.Duration
	// hide keeps what the profiles print out of the log, unless something is wrong with
	// them.
	hide    bool
	payload *Payload
}

// render returns the wrapper as it is submitted.
func (w wrapperParams) render() string {
	return w.values().Replace(wrapperBegin + w.body() + wrapperEnd)
}

func (w wrapperParams) values() *strings.Replacer {
	warned := filepath.Join(filepath.Dir(string(w.dir)), loginshell.WarnedFile)
	fold, folded := joblog.Frame("%(%s)T", loginshell.OutputSection, loginshell.OutputTitle+" on %s%s")
	hide := ""
	if w.hide {
		hide = "[ 1 ] ||"
	}
	return strings.NewReplacer(
		"@SIGNALS@", signals, "@SHELL@", w.shell, "@QUOTED@", job.ShellQuote(w.shell), "@DIR@", job.ShellQuote(string(w.dir)),
		"@PROGRAM@", job.ShellQuote(loginshell.Program{Gate: true, Hide: true}.Run()), "@PROFILES@", string(w.profiles),
		"@NOTICE@", strconv.FormatFloat(w.profileNotice.Seconds(), 'f', 3, 64), "@WARNED@", job.ShellQuote(warned), "@HIDE@", hide,
		"@MOST@", strconv.Itoa(loginshell.MaxOutput), "@MUCH@", strconv.Itoa(loginshell.MaxOutput-1), "@FOLD@", format(fold), "@FOLDED@", format(folded),
		"@SLOW@", message(func(log joblog.Writer) { loginshell.NoteSlow(log, w.profileNotice) }),
		"@ENDED@", message(func(log joblog.Writer) { loginshell.WarnEnded(log, "%s") }),
		"@STOPPED@", message(loginshell.NoteStopped),
	)
}

// message returns a message of the job's log as a format of bash's printf.
func message(write func(joblog.Writer)) string {
	var text strings.Builder
	write(joblog.NewWriter(&text))
	return format(text.String())
}

// format quotes a text as a format of bash's printf. Batch systems keep and print the
// wrapper, so it contains no control character.
func format(text string) string {
	return job.ShellQuote(strings.NewReplacer("\x1b", `\e`, "\r", `\r`, "\n", `\n`).Replace(text))
}

// body is the part of the wrapper that runs the script.
func (w wrapperParams) body() string {
	if w.payload == nil {
		return wrapperLogin
	}
	return w.payload.body()
}

// file is one of those that a submission needs.
type file struct {
	name string
	text []byte
	mode fs.FileMode
}

// files lists them. A payload starts a shell of its own, and that reads no profile.
func (w wrapperParams) files(script []byte) []file {
	wrapper, log := file{wrapperFile, []byte(w.render()), 0o700}, file{logFile, nil, 0o600}
	if w.payload == nil {
		return []file{{scriptFile, loginshell.Content(script), 0o600}, wrapper, log, {printedFile, nil, 0o600}}
	}
	return []file{{scriptFile, script, 0o600}, wrapper, log, {payloadFile, []byte(w.payload.Text), 0o600}, {marksFile, nil, 0o600}}
}
