// Package apptainer is the container engine apptainer(1), without its setuid program.
//
// It runs in a cell, and there as an ordinary account: as root it would try what only the
// host's root may do.
package apptainer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/container"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// Apptainer is the engine; version 1.6 is known to work.
type Apptainer struct{}

// Name implements container.Engine.
func (Apptainer) Name() string { return "apptainer" }

// Formats implements container.Engine.
func (Apptainer) Formats() []container.Format {
	return []container.Format{container.SIF}
}

// Local implements container.Engine.
func (Apptainer) Local() []container.Format {
	return []container.Format{container.SIF, container.Squashfs, container.Directory}
}

// Programs implements container.Engine. Apptainer finds the others by itself.
func (Apptainer) Programs(container.Format) []string { return []string{"apptainer"} }

// Helpers implements container.Engine: the first process of a container, which forwards
// signals and bears a name of its own (comm in proc(5) has 15 bytes), and the servers of
// file systems.
func (Apptainer) Helpers() []string {
	return []string{"apptainer", "starter", "Apptainer runtime parent", "squashfuse_ll", "squashfuse", "fuse-overlayfs", "fuse2fs"}
}

// Version implements container.Engine.
func (Apptainer) Version(s container.Session) container.Command {
	return container.Command{Argv: []string{s.Program, "--version"}}
}

// as maps the only id of the cell once more, to the given ones.
func as(uid, gid uint32) []string {
	return []string{"unshare", "--user", "--map-user=" + fmt.Sprint(uid), "--map-group=" + fmt.Sprint(gid), "--"}
}

// Fetch implements container.Engine. The level of compression is a seventh of the time of
// gzip for a tenth more space.
func (Apptainer) Fetch(f container.Fetch) []container.Command {
	state := f.State.String()
	argv := append(as(f.Account.UID, f.Account.GID), f.Program, "--quiet", "build", "--mksquashfs-args", "-comp zstd -Xcompression-level 1")
	if f.Platform != "" {
		argv = append(argv, "--arch", f.Platform[strings.IndexByte(f.Platform, '/')+1:])
	}
	env := []string{"APPTAINER_CACHEDIR=" + state + "/cache", "APPTAINER_TMPDIR=" + state}
	if f.Login.User != "" {
		env = append(env, "APPTAINER_DOCKER_USERNAME="+f.Login.User, "APPTAINER_DOCKER_PASSWORD="+f.Login.Password.Reveal())
	}
	if !f.CA.IsZero() {
		env = append(env, "SSL_CERT_FILE="+f.CA.String())
	}
	return []container.Command{{Argv: append(argv, f.To.Path.String(), "docker://"+f.Reference.PullName()), Env: env}}
}

// parts are what Describe prints.
var parts = [...]string{"config", "etc/passwd", "etc/group"}

// Describe implements container.Engine: it prints the configuration, which is the third
// object of an image from a registry, and passwd(5) and group(5), each with a line before
// it. Other images have no configuration, and some have no cat.
func (Apptainer) Describe(s container.Session, p container.Place, _ image.Reference) container.Command {
	text := `file=$1
shift
printf '%s\n' "` + container.Separator + parts[0] + `"
"$@" sif dump 3 "$file" 2>/dev/null || :
for name in ` + strings.Join(parts[1:], " ") + `; do
	printf '\n%s\n' "` + container.Separator + `$name"
	"$@" --quiet exec --compat "$file" cat "/$name" 2>/dev/null || :
done
`
	argv := append([]string{"sh", "-c", text, "describe", p.Path.String()}, as(s.Account.UID, s.Account.GID)...)
	return container.Command{Argv: append(argv, s.Program)}
}

// Parse implements container.Engine. The file has the inner part of a configuration, and
// neither the architecture nor the digest: Apptainer refuses an image of another
// architecture itself.
func (Apptainer) Parse(r container.Reply) (d container.Described, err error) {
	texts, err := container.SplitParts(r.Stdout, len(parts))
	if err != nil {
		return d, err
	}
	if inner := strings.TrimSpace(texts["config"]); inner != "" {
		text, err := json.Marshal(map[string]any{"config": json.RawMessage(inner)})
		if err != nil {
			return d, fmt.Errorf("cannot parse the image's configuration: %w", err)
		}
		if d.Config, err = image.ParseConfig(text); err != nil {
			return container.Described{}, err
		}
	}
	d.Passwd, d.Group = texts["etc/passwd"], texts["etc/group"]
	return d, nil
}

// run has the writable directories of a start below its state: without --workdir they
// are 64 MiB of memory. Apptainer, which mounts files by FUSE, has the same exit code for all
// its failures.
const run = container.Passed + `file=$1
state=$2
shift 2
mkdir "$state/work" "$state/home" || exit 1
[ -d "$file/" ] || true <>/dev/fuse || exit 1
set -f
give() { eval "export APPTAINERENV_$1=\$$1"; }
passed give
unset jc_pass
`

// Run implements container.Engine. Values of variables are not in argv.
func (Apptainer) Run(s container.Start) container.Command {
	state := s.State.String()
	home := "/root"
	if s.IDs.UID != 0 {
		home = "/home/user"
	}
	argv := slices.Concat(as(s.IDs.UID, s.IDs.GID), []string{
		s.Program, "--quiet", "exec", "--compat", "--no-eval", "--cleanenv", "--workdir", state + "/work", "--home", state + "/home:" + home,
	})
	if s.IDs.UID == 0 {
		argv = argv[len(as(0, 0)):]
	}
	for _, b := range s.Binds {
		argv = append(argv, "--bind", b.Volume())
	}
	argv = append(append(argv, "--pwd", s.WorkDir), s.Options...)
	text := run + "exec " + job.ShellQuote(argv...) + ` "$file" "$@"` + "\n"
	env := []string{"jc_pass=" + strings.Join(s.PassEnv, " ")}
	for _, pair := range s.Env {
		env = append(env, "APPTAINERENV_"+pair)
	}
	return container.Command{Argv: append([]string{"sh", "-c", text, "run", state + "/" + container.Image, state}, s.Inner...), Env: env}
}

// Fault implements container.Engine. 1 is the code of the cell. All failures of apptainer
// have another one; a command that the image lacks is the most frequent of them.
func (Apptainer) Fault(code int) failure.Kind {
	if code == 1 {
		return failure.System
	}
	return failure.Build
}

// Options of apptainer-exec(1) in the versions 1.1 to 1.4. Reserved ones are set here, or
// belong to another way of starting.
const (
	reservedFlags  = `help/h compat no-eval cleanenv/e contain/c containall/C no-home fakeroot/f userns/u pid/p no-pid writable-tmpfs no-init no-umask ipc/i uts no-https nohttps disable-cache docker-login allow-setuid sharens`
	reservedValues = `workdir/W home/H pwd cwd pidfile authfile docker-host`
	flags          = `nv rocm nvccli no-compat writable/w unsquash underlay no-privs keep-privs oom-kill-disable`
	values         = `bind/B mount env env-file overlay/o scratch/S hostname dns network network-args app add-caps drop-caps apply-cgroups blkio-weight cpu-shares cpus cpuset-cpus cpuset-mems memory memory-reservation memory-swap pids-limit no-mount fusemount security netns-path`
)

// Grammar implements container.Engine.
func (Apptainer) Grammar() scheduler.Grammar {
	return container.NewGrammar(reservedFlags, reservedValues, flags, values)
}
