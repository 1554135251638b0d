// Package charliecloud is the container engine ch-run(1) of Charliecloud.
//
// It runs in a cell, where the account is root: a script of the host's shell mounts the
// image and, over it, a directory of the start's own, so that the image is writable
// whatever version of ch-run there is, and every start begins with the image as it was
// fetched. ch-run replaces itself by the entrypoint; nothing but the server of the
// squashfs file remains.
package charliecloud

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Charliecloud is the engine; version 0.31 is known to work.
type Charliecloud struct{}

// Name implements container.Engine.
func (Charliecloud) Name() string { return "charliecloud" }

// Formats implements container.Engine.
func (Charliecloud) Formats() []container.Format {
	return []container.Format{container.Squashfs}
}

// Local implements container.Engine.
func (Charliecloud) Local() []container.Format {
	return []container.Format{container.Squashfs, container.Directory}
}

// Programs implements container.Engine.
func (Charliecloud) Programs(f container.Format) []string {
	programs := []string{"ch-run", "ch-image"}
	if f == container.Squashfs {
		programs = append(programs, "mksquashfs", "squashfuse")
	}
	return programs
}

// Helpers implements container.Engine.
func (Charliecloud) Helpers() []string { return []string{"squashfuse"} }

// Version implements container.Engine.
func (Charliecloud) Version(s container.Session) container.Command {
	return container.Command{Argv: []string{s.Program, "--version"}}
}

// confine is shell text (POSIX) that defines a function of that name: it makes everything but
// two directories read-only, in the mount namespace of the cell. ch-image(1) unpacks
// layers with an account's rights, and with links to directories in a path a layer leads it
// out of the image: version 0.31 takes the number of names in the path for the depth.
//
// A mount keeps its own flags, which a user namespace may not remove (mount_namespaces(7)).
// One that cannot be made read-only is one that the account cannot write, or that another
// one covers, or an error.
const confine = `confine() {
	one=$(cd "$1" && pwd -P) && other=$(cd "$2" && pwd -P) || return
	mount --bind "$one" "$one" && mount --bind "$other" "$other" || return
	shift 2
	while read -r _ _ _ _ place options rest; do
		case $rest in
		*"- autofs "*) continue ;; # it has no files of its own, and would be mounted
		esac
		case $place in
		*\\*) place=$(printf "$(printf '%s' "$place" | sed 's/%/%%/g')/") && place=${place%/} ;;
		esac
		case $place in
		/dev/shm | "$one" | "$other") continue ;;
		esac
		flags=
		for flag in nosuid nodev noexec; do
			case ,$options, in
			*",$flag,"*) flags=$flags,$flag ;;
			esac
		done
		mount -o "remount,bind,ro$flags" none "$place" 2>/dev/null || set -- "$@" "$place"
	done </proc/self/mountinfo
	for place; do
		[ ! -w "$place" ] || return
	done
}
`

// fetch pulls into a storage of its own, which then contains only this image, and packs the
// image. ch-image(1) keeps neither the entrypoint nor the user in it; they are in the texts
// of the registry, which the storage contains too: the configuration under its digest, the
// manifest under the image's name. The level of compression is a seventh of the time of gzip
// for a tenth more space.
func fetch() string {
	return confine + strings.NewReplacer("@HEX@", strings.Repeat("[0-9a-f]", 64), "@CONFIG@", container.ConfigFile, "@DIGEST@", container.DigestFile).Replace(`set -e
confine "${CH_IMAGE_STORAGE%/*}" "${target%/*}" || { echo 'cannot make the file systems of this host read-only for ch-image' >&2; exit 1; }
ch-image "$@" pull "$reference" >&2
set -- "$CH_IMAGE_STORAGE"/img/*
cp "$CH_IMAGE_STORAGE"/dlcache/@HEX@.json "$1/@CONFIG@"
sha256sum "$CH_IMAGE_STORAGE"/dlcache/*.fat.json | cut -c 1-64 >"$1/@DIGEST@"
mksquashfs "$1" "$target" -noappend -all-root -no-progress -comp zstd -Xcompression-level 1 >&2
`)
}

// Fetch implements container.Engine.
func (Charliecloud) Fetch(f container.Fetch) []container.Command {
	argv := []string{"sh", "-c", fetch(), "fetch"}
	env := []string{
		"CH_IMAGE_STORAGE=" + f.State.String() + "/storage",
		"CH_IMAGE_CACHE=disabled", // it would need a git identity
		"reference=" + pullName(f.Reference), "target=" + f.To.Path.String(),
	}
	if f.Login.User != "" {
		argv = append(argv, "--auth")
		env = append(env, "CH_IMAGE_USERNAME="+f.Login.User, "CH_IMAGE_PASSWORD="+f.Login.Password.Reveal())
	}
	if f.Platform != "" {
		argv = append(argv, "--arch", f.Platform[strings.IndexByte(f.Platform, '/')+1:])
	}
	if !f.CA.IsZero() {
		env = append(env, "REQUESTS_CA_BUNDLE="+f.CA.String())
	}
	return []container.Command{{Argv: argv, Env: env}}
}

// pullName is the name for ch-image: a tag or a digest, and no registry for Docker's, which
// has another address than its name.
func pullName(r image.Reference) string {
	name := strings.TrimPrefix(r.Name(), "docker.io/")
	if r.Digest() != "" {
		return name + "@" + r.Digest()
	}
	return name + ":" + r.Tag()
}

// Describe implements container.Engine.
func (Charliecloud) Describe(s container.Session, p container.Place, _ image.Reference) container.Command {
	return container.DescribeSquashfs(s, p)
}

// Parse implements container.Engine.
func (Charliecloud) Parse(r container.Reply) (container.Described, error) {
	return container.ParseSquashfs(r)
}

// run mounts a directory of the start's own over the image and starts ch-run there. The
// home directory is that of the image's passwd(5), as docker-run(1) sets it. ch-run has
// no read-only mounts: those are mounted below the state before. It makes directories for
// binds and no files: those are made here, unless a link of the image is on the way. The
// shell stays, to distinguish errors of ch-run from its own, and ignores requests to stop.
const run = container.MountSquashfs + container.Overlay + container.Passed + `set -f
write() {
	eval "value=\$$1"
	case $value in
	*"$newline"*) ;; # the file cannot hold it
	*) printf "%s='%s'\n" "$1" "$value" ;;
	esac
}
newline='
'
IFS='
'
mkdir -p "$S/tmp" && chmod 1777 "$S/tmp" && overlay "$lower" "$S/root" $jc_targets || exit 1
unset IFS
home=/
while IFS=: read -r _ _ uid _ _ directory _; do
	[ "$uid" != "$jc_uid" ] || { home=$directory; break; }
done 2>/dev/null <"$S/root/etc/passwd"
{
	printf "HOME='%s'\n%s\n" "$home" "$jc_env"
	passed write
} >"$S/env" || exit 1
IFS='
'
place() {
	if [ -d "$1" ]; then mkdir -p "$2"; else mkdir -p "${2%/*}" && : >"$2"; fi
}
target() {
	at=$S/root rest=${1#/}/
	while [ -n "$rest" ]; do
		at=$at/${rest%%/*}
		rest=${rest#*/}
		[ ! -L "$at" ] || return 0
		if [ -n "$rest" ]; then [ -d "$at" ] || mkdir "$at"; elif [ ! -e "$at" ]; then : >"$at"; fi || return
	done
}
for bind in $jc_binds; do [ -d "${bind%%:*}" ] || target "${bind#*:}" || exit 1; done
for bind in $jc_below_tmp; do place "${bind%%:*}" "$S/tmp/${bind#*:}" || exit 1; done
n=0
for source in $jc_read_only; do
	n=$((n+1))
	place "$source" "$S/ro.$n" && mount --rbind "$source" "$S/ro.$n" && mount -o remount,bind,ro "$S/ro.$n" || exit 1
done
unset jc_env jc_uid jc_targets jc_binds jc_below_tmp jc_pass jc_read_only
trap : HUP INT TERM
"$@"
code=$?
[ "$code" != 1 ] || code=72
exit "$code"
`

// Run implements container.Engine. Values of variables are neither in argv nor in the
// environment of the engine, which the image's could break.
func (Charliecloud) Run(s container.Start) container.Command {
	state := s.State.String()
	argv := []string{
		"sh", "-c", run, "run", state, state + "/" + container.Image,
		s.Program, "--write", "--no-passwd", "--private-tmp", "--unset-env=*", "--env-no-expand", "--set-env=" + state + "/env",
		"--uid=" + fmt.Sprint(s.IDs.UID), "--gid=" + fmt.Sprint(s.IDs.GID), "--bind=" + state + "/tmp:/tmp",
	}
	var binds, below, readOnly []string
	for _, b := range s.Binds {
		binds = append(binds, b.Source+":"+b.Target)
		source := b.Source
		if b.ReadOnly {
			readOnly = append(readOnly, b.Source)
			source = state + "/ro." + strconv.Itoa(len(readOnly))
		}
		argv = append(argv, "--bind="+source+":"+b.Target)
		if rest, ok := strings.CutPrefix(b.Target, "/tmp/"); ok {
			below = append(below, b.Source+":"+rest)
		}
	}
	argv = append(argv, s.Options...)
	argv = append(argv, "--cd="+s.WorkDir, state+"/root", "--")
	return container.Command{
		Argv: append(argv, s.Inner...),
		Env: []string{
			"jc_env=" + environment(slices.Concat([]string{"TERM=xterm"}, s.Config.Env, s.Env)), "jc_uid=" + fmt.Sprint(s.IDs.UID),
			"jc_targets=" + s.Targets("/etc", s.WorkDir), "jc_binds=" + strings.Join(binds, "\n"), "jc_below_tmp=" + strings.Join(below, "\n"), "jc_read_only=" + strings.Join(readOnly, "\n"), "jc_pass=" + strings.Join(s.PassEnv, " "),
		},
	}
}

// environment is the text of ch-run's file of variables: one a line, with quotes that are
// removed. It cannot hold a value of several lines.
func environment(pairs []string) string {
	var lines []string
	for _, pair := range pairs {
		if name, value, _ := strings.Cut(pair, "="); !strings.Contains(pair, "\n") {
			lines = append(lines, name+"='"+value+"'")
		}
	}
	return strings.Join(lines, "\n")
}

// Fault implements container.Engine. 1 is the code of the cell and of the mounts. That of
// ch-run is another one: before version 0.39 it has the same code for its own errors and
// for a command that the image lacks, which is the more frequent one.
func (Charliecloud) Fault(code int) failure.Kind {
	if code == 1 {
		return failure.System
	}
	return failure.Build
}

// Options of ch-run(1) in the versions 0.31 to 0.38. Reserved ones are set here, or belong
// to another way of starting.
const (
	reservedFlags  = `help/? usage version/V write/w write-fake/W private-tmp/t no-passwd unsafe join/j no-home home abort-fatal test`
	reservedValues = `cd/c uid/u gid/g mount/m storage/s join-ct join-pid join-tag`
	flags          = `ch-ssh env-no-expand verbose/v quiet/q seccomp warnings set-env set-env0`
	values         = `bind/b unset-env feature`
)

// Grammar implements container.Engine.
func (Charliecloud) Grammar() scheduler.Grammar {
	return container.NewGrammar(reservedFlags, reservedValues, flags, values)
}
