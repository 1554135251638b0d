package batch

import "strings"

// wrapper is the script that is submitted. It holds nothing of the job's own
// script, which may contain tokens: batch systems keep submitted scripts in
// places and databases that others read.
//
// Traps do nothing but be there: bash waits for the script before it acts on
// one, while without a trap the signal that ends the script would end the
// wrapper before it can tell. The login shell removes the file "profiles" when
// its profiles are done, and becomes a fresh shell, so that no logout file runs
// at the end. The wrapper opens the log itself: many batch systems keep a job's
// output on the node until the end. The mark has the log's length as the node sees it, so that the
// other side knows when it has all of it.
const wrapper = `#!SHELL
# Submitted by Jacamar CI: runs the job's script once and marks how it ended.
dir=DIR
shell=SHELL
told=0
trap 'told=1' TERM
trap : HUP INT QUIT USR1 USR2 ALRM XCPU XFSZ
now() { printf '%(%s)T' -1; }

set -o noclobber
if ! { printf 'node=%s\nstart=%s\n' "$HOSTNAME" "$(now)" > "$dir/started"; } 2> /dev/null; then
	echo 'This job was given up, or has run before. It is not run.' >&2
	exit 75
fi
set +o noclobber
[ ! -w "$dir/log" ] || exec >> "$dir/log" 2>&1

"$shell" --login -c 'rm -f "$1/profiles" && exec "$0" "$1/script"' "$shell" "$dir" < /dev/null
code=$?
if [ -e "$dir/profiles" ]; then
	echo "WARNING: a login profile ended the shell (exit code $code) before the job's script; it runs without profiles" >&2
	"$shell" "$dir/script" < /dev/null
	code=$?
fi

{ size=$(stat -L -c %s /dev/fd/3 2> /dev/null); } 3>&1
printf 'code=%s\ntold=%s\nsize=%s\nend=%s\n' "$code" "$told" "${size:--1}" "$(now)" > "$dir/ended.new" &&
	mv -f "$dir/ended.new" "$dir/ended"
exit "$code"
`

// wrapperText fills in where the submission lives.
func wrapperText(dir directory, shell string) string {
	interpreter, rest, _ := strings.Cut(wrapper, "\n")
	rest = strings.NewReplacer("DIR", quote(string(dir)), "SHELL", quote(shell)).Replace(rest)
	return strings.Replace(interpreter, "SHELL", shell, 1) + "\n" + rest
}

// quote makes one word of a shell out of any text.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
