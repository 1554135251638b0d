package batch

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"jacamar-ci/internal/jobrun/internal/loginshell"
)

// wrapper is the script that is submitted. It holds nothing of the job's own
// script, which may contain tokens: batch systems keep submitted scripts in
// places and databases that others read.
//
// Traps do nothing but be there: bash waits for the script before it acts on
// one, while without a trap the signal that ends the script would end the
// wrapper before it can write the mark. What bash prints about a killed script goes
// nowhere. The wrapper opens the log itself: many batch systems keep a job's
// output on the node until the end. The mark has the log's length as the node sees
// it, so that the other side knows when it has all of it.
//
// The script's file is empty once the script has begun (loginshell). It can only
// be emptied while the shell lives that the wrapper waits for, so one that is not
// empty afterwards may run again. Descriptor 8 is a pipe that takes a line when
// the profiles are done.
const wrapper = `#!@SHELL@
# Submitted by Jacamar CI: runs the job's script once and marks how it ended.
dir=@DIR@
shell=@QUOTED@
told=0
trap 'told=1' TERM
trap : HUP INT QUIT USR1 USR2 ALRM XCPU XFSZ
now() { printf '%(%s)T' -1; }

set -o noclobber
if ! { printf 'node=%s\nstart=%s\n' "$HOSTNAME" "$(now)" > "$dir/started"; } 2> /dev/null; then
	echo 'This job was given up, or has run before. It is not run.' >&2
	exit 75
fi
[ ! -w "$dir/log" ] || exec >> "$dir/log" 2>&1
exec 8<> <(:) 9>&2

if [ -n "${BASH_ENV+x}" ]; then
	export JACAMAR_BASH_ENV="$BASH_ENV"
	unset BASH_ENV
fi
login() {
	"$shell" --login --noprofile -c @PROGRAM@ bash "$1" < /dev/null 2>&9 3< "$dir/script" 4>&8 8>&- 9>&-
}
waiting() { [ -s "$dir/script" ]; }
watch() {
	read -r -t @PATIENCE@ -u 8 || echo @SLOW@ >&9
}
warn() {
	[ -e @WARNED@ ] || echo "WARNING: a login profile ended or replaced the shell (exit code $code) before the job's script;" @ADVICE@ >&9
	: > @WARNED@
}

{
	watch &
	login @PROFILES@
	code=$?
	echo >&8
	wait
	if waiting && [ "$told" = 1 ]; then
		echo 'The job was stopped before its login profiles had ended.' >&9
		[ "$code" != 0 ] || code=143
	elif waiting; then
		warn
		login none
		code=$?
	fi
} 2> /dev/null
began=1
if waiting; then
	began=0
	[ "$code" != 0 ] || code=1
fi

set +o noclobber
{ size=$(stat -L -c %s /dev/fd/3 2> /dev/null); } 3>&1
printf 'code=%s\nbegan=%s\ntold=%s\nsize=%s\nend=%s\n' "$code" "$began" "$told" "${size:--1}" "$(now)" > "$dir/ended.new" &&
	mv -f "$dir/ended.new" "$dir/ended"
exit "$code"
`

// What the wrapper prints about profiles.
const (
	slow   = "The login profiles have not ended after %v; the job waits for them (JACAMAR_CI_NO_PROFILE=true leaves them out)."
	advice = "it runs without profiles. Correct the profile, or set the variable JACAMAR_CI_NO_PROFILE to true."
)

// patience is how long profiles may take without a word in the log.
const patience = 15 * time.Second

// text returns the script to submit.
func (w wrapping) text() string {
	warned := filepath.Join(filepath.Dir(string(w.dir)), loginshell.WarnedFile)
	return strings.NewReplacer(
		"@SHELL@", w.shell, "@QUOTED@", loginshell.Quote(w.shell), "@DIR@", loginshell.Quote(string(w.dir)),
		"@PROGRAM@", loginshell.Quote(loginshell.Program{}.Run()), "@PROFILES@", string(w.profiles),
		"@PATIENCE@", strconv.FormatFloat(w.patience.Seconds(), 'f', 3, 64), "@SLOW@", loginshell.Quote(fmt.Sprintf(slow, w.patience)),
		"@WARNED@", loginshell.Quote(warned), "@ADVICE@", loginshell.Quote(advice),
	).Replace(wrapper)
}

// wrapping is what a wrapper depends on.
type wrapping struct {
	dir      directory
	shell    string // bash's path
	profiles loginshell.Profiles
	patience time.Duration
}
