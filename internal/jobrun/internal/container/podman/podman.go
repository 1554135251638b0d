// Package podman is the container engine podman(1).
//
// It runs in a cell, where the account is root. podman accepts that user namespace for its
// own by the variables that it sets itself when it enters one; then it needs neither
// newuidmap(1) nor a process that holds the namespace.
package podman

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Podman is the engine; versions 4.3 and 5.4 are known to work.
type Podman struct {
	// Squashfs stores each image in one file, which can be on any file system, instead of
	// a store of layers. Version 4.3 is known to work.
	Squashfs bool
}

// Name implements container.Engine.
func (Podman) Name() string { return "podman" }

// Formats implements container.Engine.
func (p Podman) Formats() []container.Format {
	if p.Squashfs {
		return []container.Format{container.Squashfs}
	}
	return []container.Format{container.Store}
}

// Local implements container.Engine.
func (p Podman) Local() []container.Format {
	if p.Squashfs {
		return []container.Format{container.Directory, container.Squashfs}
	}
	return []container.Format{container.Directory}
}

// Programs implements container.Engine.
func (Podman) Programs(f container.Format) []string {
	programs := []string{"podman", "crun", ownSession}
	if f == container.Squashfs {
		programs = append(programs, "mksquashfs", "squashfuse")
	}
	return programs
}

// Helpers implements container.Engine.
func (Podman) Helpers() []string {
	return []string{"podman", "conmon", "crun", "runc", "slirp4netns", "pasta", "fuse-overlayfs", "squashfuse"}
}

// Version implements container.Engine.
func (Podman) Version(s container.Session) container.Command {
	return command(s, s.State.String()+"/root", "--version")
}

// command is a call of podman with the store at root.
func command(s container.Session, root string, words ...string) container.Command {
	state := s.State.String()
	argv := []string{
		s.Program, "--root", root, "--runroot", state + "/c", "--tmpdir", state + "/t", "--storage-driver", "overlay", "--runtime", "crun",
		// Images have files of many owners, and only one id exists in the cell.
		"--storage-opt", "ignore_chown_errors=true",
	}
	if s.Linked {
		argv = append(argv, "--storage-opt", "additionalimagestore="+state+"/"+container.Image)
	}
	return container.Command{
		Argv: append(argv, words...),
		Env: []string{
			"_CONTAINERS_USERNS_CONFIGURED=done",
			"_CONTAINERS_ROOTLESS_UID=" + fmt.Sprint(s.Account.UID),
			"_CONTAINERS_ROOTLESS_GID=" + fmt.Sprint(s.Account.GID),
			"XDG_RUNTIME_DIR=" + state,
		},
	}
}

// Settings of every call: neither systemd nor its journal is needed.
func base(words ...string) []string {
	return append([]string{"--cgroup-manager", "cgroupfs", "--events-backend", "none"}, words...)
}

// Fetch implements container.Engine.
func (p Podman) Fetch(f container.Fetch) []container.Command {
	words := []string{"pull"}
	if f.AuthFD > 0 {
		words = append(words, "--authfile", fmt.Sprintf("/proc/self/fd/%d", f.AuthFD))
	}
	if f.Platform != "" {
		words = append(words, "--platform", f.Platform)
	}
	words = append(words, "docker://"+f.Reference.PullName())
	c := command(f.Session, f.To.Path.String(), base(words...)...)
	if p.Squashfs {
		c = packed(f, words)
	}
	if !f.CA.IsZero() {
		c.Env = append(c.Env, "SSL_CERT_FILE="+f.CA.String())
	}
	return []container.Command{c}
}

// pack pulls into a store of the call's own and packs the image. It is one command because
// the mount of the image ends with the cell. The configuration is in the form of registries.
// The level of compression is a seventh of the time of gzip for a tenth more space.
const pack = `set -e
engine() { @ENGINE@ "$@"; }
cd @STATE@
id=$(engine @PULL@)
engine image inspect --format '{"architecture":{{json .Architecture}},"os":{{json .Os}},"config":{{json .Config}}}' "$id" >config
digest=$(engine image inspect --format '{{.Digest}}' "$id")
printf '%s\n' "${digest#sha256:}" >digest
root=$(engine image mount "$id")
mksquashfs "$root" @TARGET@ -noappend -all-root -no-progress -comp zstd -Xcompression-level 1 \
	-p 'ch d 755 0 0' -p '@CONFIG@ f 444 0 0 cat config' -p '@DIGEST@ f 444 0 0 cat digest' -e @CONFIG@ @DIGEST@ >&2
`

// packed is the command that fetches an image to a file. pull are the words of the call that
// pulls it.
func packed(f container.Fetch, pull []string) container.Command {
	f.Linked = false // the link leads to no store
	c := command(f.Session, f.State.String()+"/root", base()...)
	text := strings.NewReplacer(
		"@ENGINE@", job.ShellQuote(c.Argv...), "@STATE@", job.ShellQuote(f.State.String()), "@PULL@", job.ShellQuote(pull...),
		"@TARGET@", job.ShellQuote(f.To.Path.String()), "@CONFIG@", container.ConfigFile, "@DIGEST@", container.DigestFile,
	).Replace(pack)
	c.Argv = []string{"sh", "-c", text}
	return c
}

// Describe implements container.Engine.
func (p Podman) Describe(s container.Session, place container.Place, r image.Reference) container.Command {
	if p.Squashfs {
		return container.DescribeSquashfs(s, place)
	}
	return command(s, place.Path.String(), base("image", "inspect", r.PullName())...)
}

// Run implements container.Engine.
func (Podman) Run(s container.Start) container.Command {
	words := base("run", "--rm", "--pull=never", "--network=host", "--cgroups=disabled", "--log-driver=passthrough", "--http-proxy=false",
		// With SELinux the label of a container has no access to the build directory.
		"--security-opt=label=disable",
		"--preserve-fds="+strconv.Itoa(s.Descriptors), "--workdir", s.WorkDir)
	words = append(words, identity(s.IDs)...)
	for _, b := range s.Binds {
		words = append(words, "--volume", b.Volume())
	}
	inStore := s.Place.Form == container.Store
	if !inStore {
		for _, pair := range s.Config.Env { // of the image: podman has it from a store alone
			words = append(words, "--env="+pair)
		}
	}
	for _, pair := range s.Env {
		name, _, _ := strings.Cut(pair, "=")
		words = append(words, "--env", name) // the value comes from podman's own environment
	}
	for _, names := range s.PassEnv {
		words = append(words, "--env", names)
	}
	words = append(words, s.Options...)
	words = append(words, "--entrypoint", program(s.Inner[0]))
	session := s.Session
	if inStore {
		words = append(words, s.Place.ID)
	} else {
		session.Linked = false // the link leads to no store
		words = append(words, "--rootfs", s.State.String()+"/rootfs")
	}
	c := command(session, s.State.String()+"/root", append(words, s.Inner[1:]...)...)
	c.Env = append(c.Env, s.Env...)
	if !inStore {
		c.Argv = append([]string{"sh", "-c", rootfs, "run", s.State.String(), s.State.String() + "/" + container.Image}, c.Argv...)
		c.Env = append(c.Env, "jc_targets="+s.Targets("/etc", "/run", "/dev", "/proc", "/sys", s.WorkDir))
	}
	c.Argv = append([]string{ownSession}, c.Argv...)
	return c
}

// ownSession is a program, of util-linux, that keeps podman out of the session to which some
// batch systems send a request to stop. Until podman proxies signals, which is after the
// start of the container, it ends by one, and with it the script. setsid(1) does not fork
// here: the cell's unshare(1) leads the process group.
const ownSession = "setsid"

// rootfs starts podman with an image that is a directory or a squashfs file, writable in a
// directory of the start's own: podman-run(1) makes files in it.
const rootfs = container.MountSquashfs + container.Overlay + `set -f
IFS='
'
overlay "$lower" "$S/rootfs" $jc_targets || exit 1
unset IFS jc_targets
exec "$@"
`

// program is the value of --entrypoint, in the form that has no meaning of its own for any
// character.
func program(name string) string {
	text, _ := json.Marshal([]string{name})
	return string(text)
}

// identity maps the account to the ids of the image's user, the only ones that exist.
func identity(ids image.IDs) []string {
	if ids == (image.IDs{}) {
		return []string{"--user", "0:0"}
	}
	uid, gid := fmt.Sprint(ids.UID), fmt.Sprint(ids.GID)
	return []string{"--uidmap", uid + ":0:1", "--gidmap", gid + ":0:1", "--user", uid + ":" + gid}
}

// Fault implements container.Engine: podman-run(1), Exit Status.
func (Podman) Fault(code int) failure.Kind {
	switch code {
	case 1, 125: // the cell; podman itself
		return failure.System
	}
	return failure.Build
}

// reservedFlags and reservedValues are options of podman-run(1) that are set here, that
// belong to another way of starting, or that name an image.
const (
	reservedFlags  = `detach/d interactive/i tty/t rm rmi replace rootfs quiet/q help http-proxy sig-proxy tls-verify disable-content-trust`
	reservedValues = `arch attach/a authfile cgroup-manager cgroup-parent cgroups cidfile conmon-pidfile detach-keys entrypoint gidmap
		log-driver log-opt name network net os pidfile platform pod pod-id-file preserve-fds preserve-fd pull requires restart root runroot
		sdnotify storage-driver storage-opt subgidname subuidname uidmap user/u userns variant workdir/w decryption-key rdt-class`
)

// flags and values are the other options of the versions 4.3 to 5.4.
const (
	flags  = `env-host init no-healthcheck no-hostname no-hosts oom-kill-disable passwd privileged publish-all/P read-only read-only-tmpfs unsetenv-all`
	values = `add-host annotation blkio-weight blkio-weight-device cap-add cap-drop cgroup-conf cgroupns chrootdirs cpu-period cpu-quota
		cpu-rt-period cpu-rt-runtime cpu-shares/c cpus cpuset-cpus cpuset-mems device device-cgroup-rule device-read-bps
		device-read-iops device-write-bps device-write-iops dns dns-option dns-search env/e env-file env-merge expose gpus group-add
		group-entry health-cmd health-interval health-log-destination health-max-log-count health-max-log-size health-on-failure
		health-retries health-start-period health-startup-cmd health-startup-interval health-startup-retries
		health-startup-success health-startup-timeout health-timeout hosts-file hostname/h hostuser image-volume init-ctr init-path intel-rdt-closid
		ip ip6 ipc label/l label-file mac-address memory/m memory-reservation memory-swap memory-swappiness mount network-alias
		oom-score-adj passwd-entry personality pid pids-limit publish/p retry retry-delay seccomp-policy secret security-opt shm-size
		shm-size-systemd stop-signal stop-timeout sysctl systemd timeout tmpfs tz ulimit umask unsetenv uts volume/v volumes-from`
)

// Grammar implements container.Engine: options of podman-run(1) before the image.
func (Podman) Grammar() scheduler.Grammar {
	return container.NewGrammar(reservedFlags, reservedValues, flags, values)
}
