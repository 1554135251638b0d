package profiles

import "slices"

// All returns the whole table.
func All() []Profile {
	return slices.Concat(plain(), options(), descriptors(), names(), ends(), hostile(), tools())
}

func plain() []Profile {
	return []Profile{
		{Name: "nothing"},
		{Name: "prints", Text: `echo welcome; echo welcome >&2; printf '\033]0;title\007'`},
		{Name: "asks a terminal that is not there", Text: "stty -ixon; mesg n; tput cols; tty -s; bind 'set bell-style none'"},
		{Name: "fails at the end", Text: "false"},
		{Name: "returns early", Text: "return 3; echo not here"},
		{Name: "has a syntax error", Text: "if then fi )"},
		{Name: "has an unfinished quote", Text: "echo 'unfinished"},
		{Name: "has an unfinished here-document", Text: "cat <<EOF >/dev/null\nno end"},
		{Name: "has carriage returns", Text: "export A=b\r\nalias x='y'\r"},
		{Name: "reads its input", Text: "read -t 1 line; cat"},
		{Name: "changes directory", Text: "cd /tmp"},
		{Name: "changes into a directory that it removes", Text: "d=$(mktemp -d); cd $d; rmdir $d"},
		{Name: "lies about its directory", Text: "PWD=/nowhere"},
		{Name: "has positional parameters", Text: "set -- x y z"},
		{Name: "changes IFS", Text: "IFS=:"},
		{Name: "unsets IFS", Text: "unset IFS"},
		{Name: "changes the locale", Text: "export LC_ALL=de_DE.UTF-8 LANG=xx"},
		{Name: "has a prompt command", Text: "PROMPT_COMMAND='exit 4'; PS1='$(exit 3)'; PS4='$(exit 2)'"},
		{Name: "has a debug prompt with a command", Text: `PS4='$(echo traced >&2)'; set -x`},
		{Name: "sets variables of bash", Text: "CDPATH=/usr:/tmp GLOBIGNORE='*' FUNCNEST=1 BASH_COMPAT=4.2 EXECIGNORE='*' TMOUT=1 HISTFILE=/dev/full"},
		{Name: "has a hash table", Text: "hash -p /bin/false ls; hash -p /bin/false sed"},
		{Name: "sources another file", Text: ". ~/.bashrc", Files: map[string]string{".bashrc": "case $- in *i*) ;; *) return ;; esac; exit 3"}},
		{Name: "is a start-up timer", Text: "exec 3>&2 2>/dev/null; PS4='+ '; set -x; : work; set +x; exec 2>&3 3>&-"},
		{
			Name: "defines what the script uses", Text: "greet() { echo \"hello $1\"; }; list=(a b c); declare -A map=([k]=v); shopt -s expand_aliases; alias shout='echo LOUD'",
			Script: `greet you; echo "${list[1]} ${map[k]}"` + "\nshout\n", Output: "hello you\nb v\nLOUD\n",
		},
		{Name: "has aliases for a terminal", Text: "alias ls='ls --color=always' cat='false' true='false' sed='false'"},
		{Name: "sets a umask", Text: "umask 027", Script: "umask", Output: "0027\n"},
	}
}

func options() []Profile {
	return []Profile{
		{Name: "errexit", Text: "set -e"},
		{Name: "errexit, and fails", Text: "set -e\nfalse\ntrue"},
		{Name: "nounset", Text: "set -u"},
		{Name: "xtrace", Text: "set -x"},
		{Name: "xtrace to a file", Text: "exec 19>/dev/null; BASH_XTRACEFD=19; set -x"},
		{Name: "xtrace to the output", Text: "BASH_XTRACEFD=1; set -x"},
		{Name: "verbose", Text: "set -v"},
		{Name: "pipefail", Text: "set -o pipefail"},
		{Name: "noclobber", Text: "set -o noclobber"},
		{Name: "posix", Text: "set -o posix"},
		{Name: "POSIXLY_CORRECT", Text: "export POSIXLY_CORRECT=1"},
		{Name: "everything at once", Text: "set -eufo pipefail -o noclobber -o posix -o errtrace -o functrace -o allexport -o keyword -o monitor; set +hB"},
		{Name: "inherited options", Text: "set -euo pipefail; export SHELLOPTS BASHOPTS"},
		{Name: "shopt", Text: "shopt -s nullglob failglob dotglob extglob nocasematch globstar lastpipe inherit_errexit xpg_echo; shopt -u sourcepath interactive_comments"},
		{Name: "one command", Text: "set -t"},
		{Name: "traps", Text: "trap 'exit 1' EXIT; trap 'exit 2' ERR; trap 'exit 4' TERM INT HUP CHLD"},
		{Name: "a debug trap", Text: "set -T; trap 'true $BASH_COMMAND' DEBUG"},
		{Name: "ignored signals", Text: "trap '' TERM INT HUP PIPE CHLD"},
		{Name: "an exit trap that starts over", Text: "trap '. ~/.bash_profile' EXIT"},
	}
}

func descriptors() []Profile {
	return []Profile{
		{Name: "closes 3 and 4", Text: "exec 3>&- 4>&-"},
		{Name: "closes 3 to 255", Text: "for ((i = 3; i < 256; i++)); do eval \"exec $i>&-\"; done"},
		{Name: "closes whatever is open", Text: "for f in /proc/self/fd/*; do f=${f##*/}; [[ $f == [012] ]] || eval \"exec $f>&-\"; done"},
		{Name: "closes whatever its process has", Text: "for f in /proc/$BASHPID/fd/*; do eval \"exec ${f##*/}>&-\"; done"},
		{Name: "reads a file by 3", Text: "exec 3</etc/passwd; while read -r -u 3 l; do :; done"},
		{Name: "has 3 to 9 elsewhere", Text: "for i in 3 4 5 6 7 8 9; do eval \"exec $i<>/dev/null\"; done"},
		{Name: "reads whatever is open", Text: "for f in /proc/self/fd/*; do cat <&${f##*/} >/dev/null; done 2>/dev/null"},
		{Name: "has no input", Text: "exec <&-"},
		{Name: "has no output", Text: "exec >&- 2>&-"},
		{Name: "prints into a file", Text: "exec >~/.log 2>&1", Files: map[string]string{".log": ""}},
		{Name: "prints through a tee", Text: "exec > >(cat >/dev/null) 2>&1"},
		{Name: "has swapped its output", Text: "exec 3>&1 1>&2 2>&3"},
		{Name: "locks with 9", Text: "exec 9>~/.lock; flock 9", Files: map[string]string{".lock": ""}},
		{Name: "talks to a coprocess", Text: "coproc cat"},
	}
}

// bodies of functions that replace builtin commands.
const nothing = "() { :; }; "

func names() []Profile {
	all := ""
	for _, name := range []string{"exit", "printf", "cd", "eval", "source", "read", "trap", "set", "unset", "command", "builtin", "exec", "echo", "enable", "shopt", "unalias", "kill", "true", "return", "test"} {
		all += name + nothing
	}
	return []Profile{
		{Name: "exit as a function", Text: "exit" + nothing},
		{Name: "printf as a function", Text: "printf() { command printf WRONG; }"},
		{Name: "cd as a function", Text: "cd() { builtin cd /tmp; }"},
		{Name: "eval as a function", Text: "eval() { echo WRONG; }"},
		{Name: "source as a function", Text: "source() { echo WRONG; }"},
		{Name: "builtin commands as functions", Text: all},
		{Name: "builtin commands as aliases", Text: "shopt -s expand_aliases\nalias exit=true printf=true cd=true eval=true source=true read=true trap=true set=true unset=true command=true builtin=true exec=true echo=true"},
		{Name: "reserved words as aliases", Text: "shopt -s expand_aliases; alias if='exit 3' '{'='exit 3' '[['='exit 3' for='exit 3' then='exit 3' '!'='exit 3'"},
		{Name: "disabled commands", Text: "enable -n printf echo read trap set eval unset exit cd kill shopt"},
		{Name: "disabled commands as functions", Text: "enable -n printf echo read trap set eval exit cd kill shopt\n" + all},
		{Name: "unset disabled and a function", Text: "enable -n unset trap set\n" + all, Ends: true},
		{Name: "enable disabled and a function", Text: "enable -n printf exit enable\n" + all, Ends: true},
		{Name: "an exported function", Text: "cd() { echo WRONG; }; export -f cd"},
		{Name: "command not found", Text: "command_not_found_handle() { exit 0; }"},
	}
}

func ends() []Profile {
	return []Profile{
		{Name: "exits with 0", Text: "exit 0", Ends: true},
		{Name: "exits with 1", Text: "exit 1", Ends: true},
		{Name: "exits in a loop", Text: "for i in 1 2; do exit; done", Ends: true},
		{Name: "becomes true", Text: "exec true", Ends: true},
		{Name: "becomes another shell", Text: "exec dash", Ends: true},
		{Name: "becomes another bash", Text: "[ -n \"$AGAIN\" ] || { export AGAIN=1; exec bash --login; }", Ends: true},
		{Name: "kills itself", Text: "kill -KILL $BASHPID", Ends: true},
		{Name: "kills its parent", Text: "kill -KILL $$", Ends: true, Races: true},
		{Name: "executes nothing more", Text: "set -n", Ends: true},
		{Name: "skips commands", Text: "shopt -s extdebug; trap false DEBUG", Ends: true},
		{Name: "is restricted", Text: "set -r", Ends: true},
		{Name: "has a readonly IFS", Text: "readonly IFS=:", Ends: true},
		{Name: "has a readonly function", Text: "eval() { :; }; readonly -f eval", Ends: true},
		{Name: "has a return trap that exits", Text: "trap 'exit 3' RETURN", Ends: true},
		{Name: "BASH_ENV that exits", Text: "export BASH_ENV=~/.env", Files: map[string]string{".env": "exit 0"}, Ends: true},
		{Name: "has too few descriptors", Text: "ulimit -n 4", Ends: true},
		{Name: "has names of the machinery that are readonly", Text: "readonly JACAMAR_SCRIPT=x JACAMAR_LEFT=y", Ends: true},
	}
}

func hostile() []Profile {
	return []Profile{
		{Name: "BASH_ENV", Text: "export BASH_ENV='$HOME/.env'", Files: map[string]string{".env": "from_env() { echo env; }; set -e"}, Script: "from_env", Output: "env\n"},
		{Name: "makes files that no one may open", Text: "umask 777"},
		{Name: "starts daemons", Text: "(setsid sleep 1000 &); sleep 1001 & disown; sleep 1002 &"},
		{Name: "starts a daemon that holds everything", Text: "(trap '' HUP; exec sleep 1000) & for f in /proc/$BASHPID/fd/*; do :; done"},
		{Name: "stops its parent", Text: "kill -STOP $$"},
		{Name: "runs a login shell", Text: "[ -n \"$AGAIN\" ] || AGAIN=1 bash --login -c true"},
		{Name: "evaluates what it is run with", Text: "[ -n \"$AGAIN\" ] || { export AGAIN=1; eval \"${BASH_EXECUTION_STRING-}\"; }"},
		{Name: "skips commands of a trap that is left", Text: "trap '[[ $BASH_COMMAND != eval* ]]' DEBUG; shopt -s extdebug; shopt -u extdebug"},
	}
}
