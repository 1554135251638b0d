package loginshell

// frame is both processes. The guard survives TERM, which ends all processes of a
// job that is stopped, so that the script's trap decides on the exit code; a
// script that sent the guard TERM (as $$ names the guard) and then succeeded has
// failed. What bash prints about a killed child goes nowhere. The guard ends
// without exit: as a login shell it would read ~/.bash_logout. Where the site blocks
// kill(2), the exit code is what the signal would have made it.
//
// The login shell is the beginning of a pipeline whose end, by lastpipe, is the
// guard itself. In a subshell in parentheses bash 5.2 takes the end of a sourced
// file for the end of the subshell: "read x; true" as the last line of the file
// replaces the shell by true(1).
const frame = `
trap 'JACAMAR_TERM=1' TERM;
shopt -s lastpipe;
exec 9>&1 8>&2 2>/dev/null;
{
	exec </dev/null >&9 2>&8 3>&- 4>&- 5>&- 6>&- 8>&- 9>&-; @HIDE@ exec 7>&-; shopt -u lastpipe;
	@BEFORE@
	` + readProfiles + `
	if { ` + reset + ` } >/dev/null 2>&1; then
		` + reopen + `
		@AFTER@
	fi;
} | :;
JACAMAR_CODE=${PIPESTATUS[0]};
if [[ JACAMAR_CODE -eq 0 && -n $JACAMAR_TERM ]]; then trap - TERM; kill -TERM $$; JACAMAR_CODE=143; fi;
jacamar_status() { return $JACAMAR_CODE; };
jacamar_status`

const hideOutput = `exec >&7 2>&7;`

// readProfiles reads the files of a login shell as bash itself does. Each stands in a
// list with "||", where errexit has no effect: a profile that sets it and then
// fails would end the shell.
const readProfiles = `
JACAMAR_PROFILES=$1 JACAMAR_SHOPT=$BASHOPTS JACAMAR_DIR=$PWD; set --; unset BASH_EXECUTION_STRING;
if [[ ${JACAMAR_BASH_ENV+x} ]]; then export BASH_ENV="$JACAMAR_BASH_ENV"; unset JACAMAR_BASH_ENV; fi;
if [[ $JACAMAR_PROFILES == login ]]; then
	if [[ -r /etc/profile ]]; then . /etc/profile || [[ 1 ]]; fi;
	if [[ -r ~/.bash_profile ]]; then . ~/.bash_profile || [[ 1 ]];
	elif [[ -r ~/.bash_login ]]; then . ~/.bash_login || [[ 1 ]];
	elif [[ -r ~/.profile ]]; then . ~/.profile || [[ 1 ]]; fi;
elif [[ $JACAMAR_PROFILES == saved ]]; then
	. /proc/$$/fd/6 || [[ 1 ]];
fi;
if [[ ${JACAMAR_PROFILES-} != none && ${JACAMAR_PROFILES-} != saved && ${BASH_ENV-} ]]; then
	JACAMAR_FILE=$BASH_ENV;
	if [[ $JACAMAR_FILE == *[\$\` + "`" + `\\]* ]]; then eval "JACAMAR_FILE=\"$BASH_ENV\""; fi;
	if [[ $JACAMAR_FILE != */* ]]; then JACAMAR_FILE=./$JACAMAR_FILE; fi;
	if [[ -r $JACAMAR_FILE ]]; then . "$JACAMAR_FILE" || [[ 1 ]]; fi;
fi;`

// reset undoes what a profile must not leave behind. POSIX mode comes first, by
// an assignment: in it unset is the builtin, even where a profile has a function of
// this name, unless the profile has disabled the builtin too; the variable that
// is still there reveals that. Without functions enable is the builtin, or not found.
// The test at the end fails where an extdebug trap skips commands, which then count
// as successful.
const reset = `
JACAMAR_LEFT=$BASHOPTS; enable @BUILTINS@; POSIXLY_CORRECT=y;
JACAMAR_NAME=; unset JACAMAR_NAME; [[ ! ${JACAMAR_NAME+x} ]] &&
unset -f @BUILTINS@ && { enable . : [ @BUILTINS@; enable enable; } &&
trap - @SIGNALS@ &&
set +abefkmptuvxCEHPT -hB && set +o pipefail && set +o history && set -- && set +o posix && {
	unset -f . : [;
	if [[ ${#BASH_ALIASES[@]} -gt 0 ]]; then unalias . : [ @BUILTINS@ @RESERVED@; fi;
	shopt -u inherit_errexit; shopt -u expand_aliases;
	if [[ $BASHOPTS != "$JACAMAR_SHOPT" ]]; then
		IFS=:;
		for JACAMAR_NAME in $BASHOPTS; do
			if [[ :$JACAMAR_SHOPT: != *:$JACAMAR_NAME:* ]]; then shopt -u $JACAMAR_NAME; fi;
		done;
		for JACAMAR_NAME in $JACAMAR_SHOPT; do
			if [[ :$BASHOPTS: != *:$JACAMAR_NAME:* ]]; then shopt -s $JACAMAR_NAME; fi;
		done;
	fi;
	if [[ :$JACAMAR_LEFT: == *:expand_aliases:* ]]; then shopt -s expand_aliases; fi;
	disown -a; hash -r; unset BASH_XTRACEFD @TUNING@; [[ 1 ]];
} &&
unset IFS && IFS=$' \t\n' && [[ $- != *r* ]] &&
if [[ $PWD != "$JACAMAR_DIR" || ! . -ef /proc/$$/cwd ]]; then cd -- "$JACAMAR_DIR"; fi &&
unset JACAMAR_DIR JACAMAR_PROFILES JACAMAR_SHOPT JACAMAR_LEFT JACAMAR_NAME JACAMAR_FILE JACAMAR_SCRIPT &&
{ kill -CONT $$; [[ 1 ]]; } &&
! [[ 1 -eq 2 ]];`

// reopen gives the script the input and output that the guard was started with.
const reopen = `
[[ /dev/fd/1 -ef /proc/$$/fd/1 ]] || exec >>/proc/$$/fd/1;
[[ /dev/fd/2 -ef /proc/$$/fd/8 ]] || exec 2>>/proc/$$/fd/8;
exec </dev/null;`

// script waits, reads the script to its zero byte and evaluates it. The script's
// own first command is the one after which it never runs again. Until bash 5.1 the
// lines of an evaluated text were counted from 0.
const script = `
if { echo >/proc/$$/fd/4 && @GATE@ IFS= read -r -d '' JACAMAR_SCRIPT </proc/$$/fd/3; } 2>/dev/null; then
	if [[ $LINENO == 0 ]]; then JACAMAR_SCRIPT=$'\n'$JACAMAR_SCRIPT; fi;
	eval "unset JACAMAR_SCRIPT; >|/proc/$$/fd/3 || exit 125; $JACAMAR_SCRIPT";
else exit 125; fi;`

const waitAtGate = `read -r JACAMAR_SCRIPT </proc/$$/fd/5 &&`

// builtins are the builtin commands of bash 4.2 to 5.3 whose names are words
// (`compgen -b` has three more), and reserved its reserved words (`compgen -k`). A
// profile may define functions and aliases of these names; scripts run without
// them. Names that a version lacks do no harm.
const builtins = `alias bg bind break builtin caller cd command compgen complete compopt continue declare dirs ` +
	`disown echo enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile ` +
	`popd printf pushd pwd read readarray readonly return set shift shopt source suspend test times trap true type ` +
	`typeset ulimit umask unalias unset wait`

const reserved = `if then else elif fi case esac for select while until do done in function time { } ! [[ ]] coproc`

// signals are all that a shell can have a trap for: signal(7) without KILL and
// STOP, and without 32 and 33, which belong to the C library.
const signals = `EXIT DEBUG ERR RETURN 1 2 3 4 5 6 7 8 10 11 12 13 14 15 16 17 18 20 21 22 23 24 25 26 27 28 29 30 31 ` +
	`34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64`

// tuning are variables by which bash reads a script differently. A profile sets
// them for a person at a terminal.
const tuning = `CDPATH GLOBIGNORE GLOBSORT EXECIGNORE FUNCNEST BASH_COMPAT TMOUT`
