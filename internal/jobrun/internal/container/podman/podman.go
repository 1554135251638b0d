// Package podman builds the commands of podman(1), from version 4.
package podman

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/jobrun/internal/container"
)

// Podman is the engine. It runs in a user namespace that the cell has made, so its
// own set-up of one (newuidmap, a pause process) is told to have happened.
type Podman struct{}

// Name implements container.Engine.
func (Podman) Name() string { return "podman" }

// Forms implements container.Engine.
func (Podman) Forms() []container.Form { return []container.Form{container.Store} }

// Programs implements container.Engine.
func (Podman) Programs(container.Form) []string { return []string{"podman", "conmon"} }

// globals are options of every call. A start has a store, a run directory and
// temporary files of its own below its state: nothing is shared with other calls of
// the account, and nothing is left once the directory is gone. The run directory must
// be at most 50 bytes long (libpod/options.go).
func globals(root, state string) []string {
	return []string{
		"podman", "--root", root, "--runroot", path.Join(state, "run"), "--tmpdir", path.Join(state, "tmp"),
		"--cgroup-manager", "cgroupfs", "--events-backend", "none", "--storage-driver", "overlay",
		"--storage-opt", "ignore_chown_errors=true",
	}
}

// environment makes podman take the namespace that it is in for its own, as
// `buildah unshare` does.
func environment(s container.Session) []string {
	return []string{
		"_CONTAINERS_USERNS_CONFIGURED=done",
		fmt.Sprintf("_CONTAINERS_ROOTLESS_UID=%d", s.Account.UID), fmt.Sprintf("_CONTAINERS_ROOTLESS_GID=%d", s.Account.GID),
		"XDG_RUNTIME_DIR=" + s.State.String(), "TMPDIR=" + s.State.String(),
	}
}

// Fetch implements container.Engine.
func (Podman) Fetch(f container.Fetch) []container.Command {
	argv := append(globals(f.To.Path.String(), f.State.String()), "pull", "--quiet")
	if f.AuthFD != 0 {
		argv = append(argv, "--authfile", "/proc/self/fd/"+strconv.Itoa(f.AuthFD))
	}
	env := environment(f.Session)
	if !f.CA.IsZero() {
		env = append(env, "SSL_CERT_FILE="+f.CA.String())
	}
	return []container.Command{{Argv: append(argv, "docker://"+f.Reference.String()), Env: env}}
}

// Describe implements container.Engine.
func (Podman) Describe(s container.Session, p container.Place) container.Command {
	return container.Command{
		Argv: append(globals(p.Path.String(), s.State.String()), "image", "inspect", p.Reference.String()),
		Env:  environment(s),
	}
}

// Parse implements container.Engine.
func (Podman) Parse(r container.Reply) (image.Config, string, error) {
	if r.Code != 0 {
		_, why := container.Classify(r)
		return image.Config{}, "", fmt.Errorf("podman cannot describe the image: %s", why)
	}
	return image.Inspected([]byte(r.Stdout))
}

// Run implements container.Engine.
func (Podman) Run(s container.Start) container.Command {
	state := s.State.String()
	argv := append(globals(path.Join(state, "root"), state), "--storage-opt", "additionalimagestore="+s.Place.Path.String(),
		"run", "--rm", "--network=host", "--cgroups=disabled", "--log-driver=passthrough", "--pull=never", "--http-proxy=false",
		"--preserve-fds="+strconv.Itoa(s.Descriptors))
	argv = append(argv, fmt.Sprintf("--user=%d:%d", s.UID, s.GID))
	if s.UID != 0 || s.GID != 0 {
		argv = append(argv, fmt.Sprintf("--uidmap=%d:0:1", s.UID), fmt.Sprintf("--gidmap=%d:0:1", s.GID))
	}
	for _, b := range s.Binds {
		argv = append(argv, "--volume="+volume(b))
	}
	argv = append(argv, "--workdir="+s.WorkDir)
	env := environment(s.Session)
	for _, pair := range s.Env {
		name, value, _ := strings.Cut(pair, "=")
		if ofPodman(name) {
			argv = append(argv, "--env="+name+"="+value)
			continue
		}
		argv, env = append(argv, "--env="+name), append(env, pair)
	}
	argv = append(append(argv, s.Options...), "--entrypoint="+s.Inner[0], s.Place.Reference.String())
	return container.Command{Argv: append(argv, s.Inner[1:]...), Env: env}
}

func volume(b container.Bind) string {
	v := b.Source + ":" + b.Target
	if b.ReadOnly {
		v += ":ro"
	}
	return v
}

// ofPodman reports whether podman itself, or the loader of its libraries, acts on a
// variable: its value then stands in the argv and not in podman's environment.
func ofPodman(name string) bool {
	for _, prefix := range []string{"LD_", "CONTAINER", "_CONTAINER", "REGISTRY_", "XDG_", "STORAGE_", "GO", "BUILDAH_", "SSL_", "DBUS_", "NOTIFY_", "LISTEN_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "PATH", "HOME", "USER", "TMPDIR", "SHELL", "PODMAN_USERNS", "DOCKER_CONFIG":
		return true
	}
	return false
}

// Helpers implements container.Engine.
func (Podman) Helpers() []string { return []string{"podman", "conmon", "fuse-overlayfs"} }

// Fault implements container.Engine: 126 and 127 say that the entrypoint cannot be
// started (podman-run(1), EXIT STATUS).
func (Podman) Fault(code int) failure.Kind {
	if code == 126 || code == 127 {
		return failure.Build
	}
	return failure.System
}
