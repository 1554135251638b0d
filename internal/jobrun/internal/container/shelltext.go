package container

import (
	"strings"
)

// MountSquashfs is shell text (POSIX) that makes the root file system of an image the
// directory lower, for a container or for a look into the image. Its arguments are the state
// and the image, a file or a directory. The shell that starts squashfuse ignores TERM, and
// libfuse keeps that: a request to stop reaches all processes of a job, and the script still
// needs its files then.
const MountSquashfs = `S=$1
lower=$2
shift 2
if [ ! -d "$lower" ]; then
	mkdir "$S/squashfs" && (trap '' HUP INT TERM && exec squashfuse "$lower" "$S/squashfs") || exit 1
	lower=$S/squashfs
fi
`

// Overlay is shell text (POSIX) that defines the function overlay. Its arguments are the
// root of an image, a directory to make, and paths in the image. It mounts a directory of
// the start's own, below $S, over the root, so that the image stays as it is.
//
// Where the image is a directory of another account, as one that the site has unpacked, the
// only id of the cell can add nothing to the directories in it. The directories on the way to
// the paths belong to the start then: those of an overlay have the owner of the topmost layer.
const Overlay = `own() {
	[ "$(stat -c %u "$1/")" != 0 ] || return 0
	at= rest=${2#/}/
	while [ -n "$rest" ]; do
		at=$at/${rest%%/*}
		rest=${rest#*/}
		[ -d "$1$at" ] && [ ! -L "$1$at" ] || return 0
		mkdir "$S/upper$at" 2>/dev/null || :
	done
}
overlay() {
	lower=$1 merged=$2
	shift 2
	mkdir -p "$S/upper" "$S/work" "$merged" || return
	for place; do
		own "$lower" "$place"
	done
	mount -t overlay -o "lowerdir=$lower,upperdir=$S/upper,workdir=$S/work,userxattr" overlay "$merged"
}
`

// Targets are the paths in the container at which something is mounted or written: those of
// the binds, and the given ones.
func (s Start) Targets(more ...string) string {
	for _, b := range s.Binds {
		more = append(more, b.Target)
	}
	return strings.Join(more, "\n")
}

// Passed defines a function of the shell, which must not expand names of files (set -f): it
// calls a command with the name of each variable of the environment that a pattern of
// jc_pass matches, once or more. env(1) prints each line of a value as if it were a
// variable: names that are not set are left out.
//
//nolint:gosec // it has no password
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
