package check

import (
	"context"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/auth/internal/thread"
	"jacamar-ci/internal/cell"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/engines"
	"jacamar-ci/internal/mounts"
	"jacamar-ci/internal/settings"
)

// engineDirs are searched by jacamar too.
var engineDirs = []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"}

// podmanHPC is the name of NERSC's program around podman.
const podmanHPC = "podman-hpc"

// containers makes the namespaces of a job's container, as an account without privileges.
func containers(ctx context.Context, s Site) []Line {
	g := s.Config.General
	if g.RunMechanism == "" {
		return nil
	}
	engine := string(g.RunMechanism)
	needed := slices.Concat(engines.Programs(g.RunMechanism, s.Config.Container.CacheForm), cell.Cell{}.Programs())
	if p := g.Engine().ApplicationPath.String(); p != "" {
		if path.Base(p) == podmanHPC {
			return []Line{fail(`name podman in general.podman.application_path; [[container.module]] and container.cache_form = "squashfs" are for GPUs, MPI and storage that nodes share`,
				"containers cannot start: %s does not accept the options by which each start has a storage of its own", p)}
		}
		if !executable(p) {
			return []Line{fail("install it, or correct general."+engine+".application_path", "containers cannot start: there is no program %s", p)}
		}
		if lines := s.runnable(g.Engine().ApplicationPath); len(lines) > 0 {
			return lines
		}
		needed, engine = needed[1:], p
	}
	missing := slices.DeleteFunc(needed, func(name string) bool { return locate(engineDirs, name) != "" })
	if len(missing) > 0 {
		return []Line{fail("install the engine's package and util-linux", "containers cannot start: there is no %s in %s", strings.Join(missing, ", "), strings.Join(engineDirs, ", "))}
	}
	lines := []Line{ok("containers run with %s", engine)}
	network, line := servicesNetwork(s)
	return slices.Concat(lines, engineOptions(s), line, startCell(ctx, s, cell.Cell{Network: network}), imageStorage(s))
}

// engineOptions judges the site's options of the engine, as prepare does.
func engineOptions(s Site) (lines []Line) {
	g := s.Config.General
	judge := func(name string, words []string) {
		if err := engines.CheckOptions(g.RunMechanism, name, words); err != nil {
			lines = append(lines, fail("correct it in "+s.File.String(), "%v", err))
		}
	}
	judge("general."+string(g.RunMechanism)+".custom_options", g.Engine().CustomOptions)
	judge("general."+string(g.RunMechanism)+".runner_options", g.Engine().RunnerOptions)
	for _, m := range s.Config.Container.Modules {
		judge("module "+string(m.Name), m.Options(g.RunMechanism))
	}
	return lines
}

// servicesNetwork reports whether jobs can have a network namespace for their services.
func servicesNetwork(s Site) (bool, []Line) {
	switch {
	case s.Config.Container.ServicesNetwork != settings.ServicesPrivate:
		return false, nil
	case locate(engineDirs, "ip") == "":
		return false, []Line{warn("install iproute2, or set container.services", "jobs with services: fail: there is no ip in %s", strings.Join(engineDirs, ", "))}
	}
	return true, nil
}

const cellLimit = 20 * time.Second

func startCell(ctx context.Context, s Site, c cell.Cell) []Line {
	argv := c.Argv([]string{"true"})
	command := subprocess.Command{
		Path: locate(engineDirs, argv[0]), Args: argv[1:], Env: []string{"PATH=" + strings.Join(engineDirs, ":")}, NoNewPrivs: true,
		Limit: cellLimit, MaxOutput: 4 << 10, MaxErrors: 4 << 10,
	}
	if s.UID == 0 {
		command.As = &thread.IDs{UID: job.Nobody, GID: job.Nobody}
	}
	begin := time.Now()
	r, err := command.Run(ctx)
	switch {
	case err != nil:
		return []Line{fail(namespaceFix(), "the namespaces of a container cannot be made: %v", err)}
	case r.Code != 0:
		return []Line{fail(namespaceFix(), "an account without privileges cannot make the namespaces of a container: %s", job.Clip(strings.TrimSpace(string(r.Stderr))))}
	}
	return []Line{ok("an account without privileges can make the namespaces of a container (%v)", time.Since(begin).Round(time.Millisecond))}
}

// namespaceFix finds the setting of the kernel that forbids user namespaces.
func namespaceFix() string {
	for _, one := range []struct{ file, forbids, fix string }{
		{"/proc/sys/user/max_user_namespaces", "0", "run: sysctl user.max_user_namespaces=10000"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "run: sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "run: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or write a profile for unshare(1)"},
	} {
		if text, err := os.ReadFile(one.file); err == nil && strings.TrimSpace(string(text)) == one.forbids {
			return one.fix
		}
	}
	return "allow user namespaces (user_namespaces(7)); in a container, allow mounts of /proc too"
}

// remote are types of file systems on which a store of layers cannot be.
var remote = []string{"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "afs", "9p", "panfs", "orangefs"}

// imageStorage looks at the file system of the images, where the configuration names it.
func imageStorage(s Site) []Line {
	dir := s.Config.Container.CacheDir.String()
	if dir == "" && !s.Config.General.DataDir.BelowHome() && !s.Config.General.DataDir.HasVariables() {
		dir = s.Config.General.DataDir.String()
	}
	if dir == "" || s.Config.General.RunMechanism != settings.Podman || s.Config.Container.CacheForm == settings.SquashfsForm {
		return nil // an image in one file can be on any file system
	}
	m := mounts.Of(dir)
	if slices.Contains(remote, m.Type) || strings.HasPrefix(m.Type, "fuse") {
		return []Line{warn("set container.cache_form = \"squashfs\", or container.cache_dir to a directory on a local disk, which all accounts can write (mode 1777)",
			"images would be stored in %s, whose file system (%s) cannot contain their layers", dir, m.Type)}
	}
	return []Line{ok("images are stored in %s (%s)", dir, m.Type)}
}
