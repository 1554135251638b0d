package container

// Passed defines a function of the shell, which must not expand names of files (set -f): it
// calls a command with the name of each variable of the environment that a pattern of
// jc_pass matches, once or more. env(1) prints each line of a value as if it were a
// variable: names that are not set are left out.
const Passed = `passed() {
	for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
		eval "[ -n \"\${$name+set}\" ]" || continue
		for pattern in $jc_pass; do
			case $name in
			$pattern) "$1" "$name" ;;
			esac
		done
	done
}
`
