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
	"jacamar-ci/internal/jobrun/internal/container"
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
	programs := []string{"podman", "crun"}
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
	return c
}

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
