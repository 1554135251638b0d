package loginshell

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
