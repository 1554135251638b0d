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
	if s.Config.General.RunMechanism == "" {
		return nil
	}
	engine, lines := judgeEngine(s, engineDirs)
	if len(lines) > 0 {
		return lines
	}
	network, line := servicesNetwork(s)
	return slices.Concat([]Line{ok("containers run with %s", engine)}, engineOptions(s), line, startCell(ctx, s, cell.Cell{Network: network}), imageStorage(s), s.containerDirs())
}

// judgeEngine looks for the programs that a container needs in the directories. The engine's
// own is the first.
func judgeEngine(s Site, places []string) (engine string, lines []Line) {
	g := s.Config.General
	engine = string(g.RunMechanism)
	needed := slices.Concat(engines.Programs(g.RunMechanism, s.Config.Container.CacheForm), cell.Cell{}.Programs())
	if p := g.Engine().ApplicationPath; !p.IsZero() {
		needed, engine, lines = needed[1:], p.String(), judgeNamed(s, p)
	}
	if missing := lacking(needed, places); len(missing) > 0 {
		lines = append(lines, fail("install the engine's package and util-linux", "containers cannot start: there is no %s in %s", strings.Join(missing, ", "), strings.Join(places, ", ")))
	}
	return engine, lines
}

// judgeNamed judges an engine that the configuration names by its path.
func judgeNamed(s Site, p job.AbsPath) []Line {
	switch {
	case path.Base(p.String()) == podmanHPC:
		return []Line{fail(`name podman in general.podman.application_path; [[container.module]] and container.cache_form = "squashfs" are for GPUs, MPI and storage that nodes share`,
			"containers cannot start: %s does not accept the options by which each start has a storage of its own", p)}
	case !executable(p.String()):
		return []Line{fail("install it, or correct general."+string(s.Config.General.RunMechanism)+".application_path", "containers cannot start: there is no program %s", p)}
	}
	return s.runnable(p)
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

// startCell starts one that does nothing, and one with an overlay where the engine needs that.
func startCell(ctx context.Context, s Site, c cell.Cell) []Line {
	begin := time.Now()
	r, err := s.cellCommand(c, "true").Run(ctx)
	lines := judgeCell(r, err, time.Since(begin), namespaceFix("/proc/sys"))
	for _, inner := range overlayTrials(s.Config.General.RunMechanism, lines[0].Result) {
		r, err := s.cellCommand(c, inner...).Run(ctx)
		lines = append(lines, judgeOverlay(s, r, err)...)
	}
	return lines
}

// overlayTrials is the command that tries an overlay, none where the engine needs no overlay
// or no cell starts.
func overlayTrials(m settings.Mechanism, cell Result) [][]string {
	if m == settings.Apptainer || cell != OK {
		return nil
	}
	return [][]string{{"sh", "-c", mountOverlay}}
}

// mountOverlay mounts an overlay with the option that the starts of containers need.
const mountOverlay = "mount -t tmpfs tmpfs /dev/shm && cd /dev/shm && mkdir a b m && mount -t overlay -o lowerdir=a:b,userxattr overlay m"

// judgeOverlay warns only of Podman's own storage, which can be mounted by a program.
func judgeOverlay(s Site, r subprocess.Result, err error) []Line {
	judge := fail
	if c := s.Config; c.General.RunMechanism == settings.Podman && c.Container.CacheForm != settings.SquashfsForm {
		judge = warn
	}
	if err == nil && r.Code == 0 {
		return nil
	}
	text, _, _ := strings.Cut(strings.TrimSpace(string(r.Stderr)), "\n") // mount(8) adds a line about dmesg(1)
	if err != nil {
		text = err.Error()
	}
	return []Line{judge("Linux 5.11 has these mounts, and Enterprise Linux from 8.5 on: use a newer kernel, or Apptainer",
		"an overlay cannot be mounted in a container's namespaces: %s", job.Clip(text))}
}

// cellCommand is the start of a cell without privileges.
func (s Site) cellCommand(c cell.Cell, inner ...string) subprocess.Command {
	argv := c.Argv(inner)
	command := subprocess.Command{
		Path: locate(engineDirs, argv[0]), Args: argv[1:], Env: []string{"PATH=" + strings.Join(engineDirs, ":")}, NoNewPrivs: true,
		Limit: cellLimit, MaxOutput: 4 << 10, MaxErrors: 4 << 10,
	}
	if s.UID == 0 {
		command.As = &thread.IDs{UID: job.Nobody, GID: job.Nobody}
	}
	return command
}

func judgeCell(r subprocess.Result, err error, took time.Duration, fix string) []Line {
	switch {
	case err != nil:
		return []Line{fail(fix, "the namespaces of a container cannot be made: %v", err)}
	case r.Code != 0:
		return []Line{fail(fix, "an account without privileges cannot make the namespaces of a container: %s", job.Clip(strings.TrimSpace(string(r.Stderr))))}
	}
	return []Line{ok("an account without privileges can make the namespaces of a container (%v)", took.Round(time.Millisecond))}
}

// namespaceFix finds the setting of the kernel that forbids user namespaces.
func namespaceFix(settings string) string {
	for _, one := range []struct{ file, forbids, fix string }{
		{"user/max_user_namespaces", "0", "run: sysctl user.max_user_namespaces=10000"},
		{"kernel/unprivileged_userns_clone", "0", "run: sysctl kernel.unprivileged_userns_clone=1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "run: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or write a profile for unshare(1)"},
	} {
		text, _ := os.ReadFile(path.Join(settings, one.file)) // a kernel without the setting does not forbid by it
		if strings.TrimSpace(string(text)) == one.forbids {
			return one.fix
		}
	}
	return "allow user namespaces (user_namespaces(7)); in a container, allow mounts of /proc too"
}

// containerDirs judges the directories in which each account makes one of its own.
func (s Site) containerDirs() (lines []Line) {
	for _, p := range []job.AbsPath{s.Config.Container.CacheDir, s.Config.Container.TempDir} {
		if !p.IsZero() {
			lines = append(lines, s.judgeShared(p)...)
		}
	}
	return lines
}

// judgeShared judges one of them by the function that judges it for a job.
func (s Site) judgeShared(p job.AbsPath) []Line {
	info, lines := examine(p.String(), s.noPlace)
	if len(lines) > 0 {
		return lines
	}
	lines = append(s.closedAbove(p.String()), replaceable(p.String(), s.accountsTrust().CheckDirectory(p))...)
	if len(lines) == 0 && s.Config.Auth.Downscope != settings.None && info.Mode().Perm()&0o022 == 0 {
		lines = append(lines, warn("run: chmod 1777 "+p.String()+"; or make a directory for each account in it", "accounts without a directory of their own in %s cannot use images (mode %04o)", p, unixMode(info)))
	}
	return lines
}

// noPlace judges one of them that does not exist.
func (s Site) noPlace(dir string) Line {
	fix := "make it for the accounts of jobs: install -d -m 1777 " + dir
	if s.Config.Auth.Downscope == settings.None {
		fix = "make it as the account of the runner's service: mkdir -p " + dir
	} else if _, found := unsafeAbove(dir); found {
		fix = "name one below directories that only root can write"
	}
	return fail(fix, "images and containers have no place: %s does not exist", dir)
}

// remote are types of file systems on which a store of layers cannot be.
var remote = []string{"nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "afs", "9p", "panfs", "orangefs"}

// imageStorage looks at the file system of the images, where the configuration names it.
func imageStorage(s Site) []Line {
	dir := s.imageDir()
	if dir == "" {
		return nil
	}
	return judgeStorage(dir, mounts.Of(dir).Type)
}

// imageDir is the directory of the layers of images, "" where only a job knows it, and where
// an image is one file, which can be on any file system.
func (s Site) imageDir() string {
	data := s.Config.General.DataDir
	switch c := s.Config.Container; {
	case s.Config.General.RunMechanism != settings.Podman || c.CacheForm == settings.SquashfsForm:
		return ""
	case !c.CacheDir.IsZero():
		return c.CacheDir.String()
	case data.BelowHome() || data.HasVariables():
		return ""
	}
	return data.String()
}

func judgeStorage(dir, kind string) []Line {
	if slices.Contains(remote, kind) || strings.HasPrefix(kind, "fuse") {
		return []Line{warn("set container.cache_form = \"squashfs\", or container.cache_dir to a directory on a local disk, which all accounts can write (mode 1777)",
			"images would be stored in %s, whose file system (%s) cannot contain their layers", dir, kind)}
	}
	return []Line{ok("images are stored in %s (%s)", dir, kind)}
}
