package check

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/auth/internal/subprocess"
	"jacamar-ci/internal/cell"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/engines"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/testutil"
)

func containerSite(t *testing.T, program, cache string) Site {
	t.Helper()
	s := Site{Config: &config.Config{}, UID: job.UID(os.Getuid())}
	s.Config.General.RunMechanism = settings.Podman
	for text, to := range map[string]*job.AbsPath{program: &s.Config.General.Podman.ApplicationPath, cache: &s.Config.Container.CacheDir} {
		var err error
		if *to, err = job.ParseAbsPath(text); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestContainers(t *testing.T) {
	found(t, containers(t.Context(), Site{Config: &config.Config{}}))
	got := containers(t.Context(), containerSite(t, "/no/such/podman", "/"))
	if len(got) == 0 || got[0].Result != Fail || !strings.Contains(got[0].Text, "no program /no/such/podman") {
		t.Errorf("%+v", got)
	}
}

// TestJudgeEngine: a container needs its engine, the engine's helpers and those of its cell.
func TestJudgeEngine(t *testing.T) {
	bin := openDir(t)
	for _, name := range slices.Concat(engines.Programs(settings.Podman, ""), cell.Cell{}.Programs(), []string{"closed", podmanHPC}) {
		program(t, filepath.Join(bin, name))
	}
	testutil.Must(t, os.Chmod(filepath.Join(bin, "closed"), 0o700))
	for name, tt := range map[string]struct {
		path   string // of the engine, "" for none
		form   settings.CacheForm
		places []string
		want   []string
		fix    string
	}{
		"installed":            {"", "", []string{bin}, nil, ""},
		"named":                {bin + "/podman", "", []string{bin}, nil, ""},
		"named elsewhere":      {bin + "/podman", "", []string{"/nonexistent"}, []string{"fail no " + strings.Join(slices.Concat(engines.Programs(settings.Podman, "")[1:], cell.Cell{}.Programs()), ", ") + " in /nonexistent"}, "util-linux"},
		"not installed":        {"", "", []string{"/nonexistent"}, []string{"fail no podman, "}, "util-linux"},
		"no squashfs":          {"", settings.SquashfsForm, []string{bin}, []string{"fail mksquashfs"}, "util-linux"},
		"named, and not there": {bin + "/none", "", []string{bin}, []string{"fail no program " + bin + "/none"}, "general.podman.application_path"},
		"closed to accounts":   {bin + "/closed", "", []string{bin}, []string{"fail the accounts of jobs cannot run"}, "chmod o+x"},
		"NERSC's":              {bin + "/" + podmanHPC, "", []string{bin}, []string{"fail does not accept the options"}, "cache_form"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Site{Config: &config.Config{}}
			s.Config.General.RunMechanism, s.Config.Container.CacheForm = settings.Podman, tt.form
			if tt.path != "" {
				s.Config.General.Podman.ApplicationPath = testutil.AbsPath(t, tt.path)
			}
			engine, got := judgeEngine(s, tt.places)
			found(t, got, tt.want...)
			if tt.path == "" && engine != "podman" || tt.path != "" && engine != tt.path || !strings.Contains(fixes(got), tt.fix) {
				t.Errorf("%q, %+v", engine, got)
			}
		})
	}
}

// The site's options are judged as a job judges them.
func TestEngineOptions(t *testing.T) {
	s := containerSite(t, "/bin/true", "/")
	s.Config.General.Podman.CustomOptions = []string{"--shm-size=1g"}
	s.Config.Container.Modules = []config.Module{{Module: settings.Module{Name: "gpu"}, Podman: []string{"--device", "x"}, Apptainer: []string{"image"}}}
	if lines := engineOptions(s); lines != nil {
		t.Errorf("%v", lines)
	}
	s.Config.General.Podman.CustomOptions = []string{"busybox"}
	s.Config.Container.Modules[0].Podman = []string{"--name=x"}
	lines := engineOptions(s)
	s.Config.General.Podman.RunnerOptions = []string{"--rm"}
	if more := engineOptions(s); len(more) != 3 || !strings.Contains(more[1].Text, "general.podman.runner_options contains --rm") {
		t.Errorf("%v", more)
	}
	if len(lines) != 2 || lines[0].Result != Fail || !strings.Contains(lines[0].Text, "general.podman.custom_options") || !strings.Contains(lines[1].Text, "module gpu contains --name") {
		t.Errorf("%v", lines)
	}
}

// A cell starts, or the finding has the program's reason and a fix.
func TestStartCell(t *testing.T) {
	s := containerSite(t, "/bin/true", "/")
	lines := startCell(t.Context(), s, cell.Cell{})
	if len(lines) != 1 || lines[0].Result == Fail && (lines[0].Fix == "" || !strings.Contains(lines[0].Text, "namespaces")) {
		t.Errorf("%v", lines)
	}
	if os.Getuid() == 0 && lines[0].Result != OK {
		t.Skipf("this machine makes no user namespaces: %v", lines)
	}
}

// TestCellCommand: root tries what an account without privileges can do.
func TestCellCommand(t *testing.T) {
	if as := (Site{}).cellCommand(cell.Cell{}, "true").As; as == nil || as.UID != job.Nobody || as.GID != job.Nobody {
		t.Errorf("root: %+v", as)
	}
	if as := (Site{UID: 7}).cellCommand(cell.Cell{}, "true").As; as != nil {
		t.Errorf("another account: %+v", as)
	}
}

// TestJudgeOverlay: on an old kernel a start of Charliecloud, and one of Podman from a file, cannot
// mount its image.
func TestJudgeOverlay(t *testing.T) {
	refused := subprocess.Result{Code: 32, Stderr: []byte("mount: bad option\n       dmesg(1) may have more information\n")}
	podman := Site{Config: &config.Config{General: config.General{RunMechanism: settings.Podman}}}
	files := Site{Config: &config.Config{General: podman.Config.General}}
	files.Config.Container.CacheForm = settings.SquashfsForm
	for want, s := range map[string]Site{"warn": podman, "fail ": files, "fail": {Config: &config.Config{General: config.General{RunMechanism: settings.Charliecloud}}}} {
		found(t, judgeOverlay(s, refused, nil), strings.TrimSpace(want)+" in a container's namespaces: mount: bad option")
		found(t, judgeOverlay(s, subprocess.Result{}, errors.New("no sh")), strings.TrimSpace(want)+" in a container's namespaces: no sh")
		if lines := judgeOverlay(s, subprocess.Result{}, nil); lines != nil {
			t.Errorf("%v", lines)
		}
	}
}

// TestMountOverlay: it is mounted in a cell, and an option that the kernel does not have is refused
// there.
func TestMountOverlay(t *testing.T) {
	s := containerSite(t, "/bin/true", "/")
	if lines := startCell(t.Context(), s, cell.Cell{}); lines[0].Result != OK {
		t.Skipf("this machine makes no user namespaces: %v", lines)
	}
	for script, want := range map[string]bool{mountOverlay: true, strings.Replace(mountOverlay, "userxattr", "option-of-no-kernel", 1): false} {
		r, err := s.cellCommand(cell.Cell{}, "sh", "-c", script).Run(t.Context())
		if err != nil || (r.Code == 0) != want {
			t.Errorf("%s: %+v, %v", script, r, err)
		}
	}
}

func TestOverlayTrials(t *testing.T) {
	for _, tt := range []struct {
		mechanism settings.Mechanism
		cell      Result
		want      int
	}{{settings.Podman, OK, 1}, {settings.Charliecloud, OK, 1}, {settings.Apptainer, OK, 0}, {settings.Podman, Fail, 0}} {
		if got := overlayTrials(tt.mechanism, tt.cell); len(got) != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

func TestJudgeCell(t *testing.T) {
	refused := subprocess.Result{Code: 1, Stderr: []byte("unshare: not permitted\n")}
	found(t, judgeCell(subprocess.Result{}, nil, 1200*time.Microsecond, "x"), "ok an account without privileges can make the namespaces of a container (1ms)")
	found(t, judgeCell(refused, nil, 0, "x"), "fail cannot make the namespaces of a container: unshare: not permitted")
	found(t, judgeCell(refused, errors.New("no unshare"), 0, "x"), "fail cannot be made: no unshare")
}

// TestNamespaceFix: the setting that forbids user namespaces on each kind of system.
func TestNamespaceFix(t *testing.T) {
	for name, tt := range map[string]struct {
		settings map[string]string
		want     string
	}{
		"a container": {map[string]string{"user/max_user_namespaces": "63432\n"}, "in a container"},
		"RHEL 7":      {map[string]string{"user/max_user_namespaces": "0\n"}, "user.max_user_namespaces=10000"},
		"Debian":      {map[string]string{"user/max_user_namespaces": "63432\n", "kernel/unprivileged_userns_clone": "0\n"}, "kernel.unprivileged_userns_clone=1"},
		"Ubuntu":      {map[string]string{"kernel/unprivileged_userns_clone": "1\n", "kernel/apparmor_restrict_unprivileged_userns": "1\n"}, "kernel.apparmor_restrict_unprivileged_userns=0"},
	} {
		dir := t.TempDir()
		for file, text := range tt.settings {
			path := filepath.Join(dir, file)
			testutil.Must(t, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600))
		}
		if got := namespaceFix(dir); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Jobs have a network of their own for services where the site does not choose another.
func TestServicesNetwork(t *testing.T) {
	for network, want := range map[settings.ServicesNetwork]bool{settings.ServicesPrivate: true, settings.ServicesHost: false, settings.ServicesOff: false} {
		s := containerSite(t, "/bin/true", "/")
		s.Config.Container.ServicesNetwork = network
		got, lines := servicesNetwork(s)
		if missing := locate(engineDirs, "ip") == ""; got != (want && !missing) || (len(lines) > 0) != (want && missing) {
			t.Errorf("%s: %v, %v", network, got, lines)
		}
	}
}

// TestContainerDirs: each account needs a place for its images and its containers, which no
// other account can replace. The fix of a missing one is carried out.
func TestContainerDirs(t *testing.T) {
	for name, tt := range map[string]struct {
		mode  fs.FileMode // 0 for a directory that is missing
		owner int
		scope settings.Downscope
		want  []string
	}{
		"for all":                    {0o777 | fs.ModeSticky, 0, settings.Setuid, nil},
		"for a group":                {0o770 | fs.ModeSticky, 0, settings.Setuid, nil},
		"missing":                    {0, 0, settings.Setuid, []string{"fail does not exist"}},
		"not sticky":                 {0o777, 0, settings.Setuid, []string{"fail any account could replace"}},
		"for root":                   {0o755, 0, settings.Setuid, []string{"warn accounts without a directory of their own"}},
		"another's":                  {0o755, 4242, settings.Setuid, []string{"fail is owned by uid 4242"}},
		"for root's jobs":            {0o755, 0, settings.None, nil},
		"the service's":              {0o755, daemonUID, settings.None, nil},
		"the service's, jobs others": {0o755, daemonUID, settings.Setuid, []string{"fail is owned by uid 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(openDir(t), "images")
			if tt.mode != 0 {
				testutil.Must(t, os.Mkdir(dir, 0o700), os.Chown(dir, tt.owner, -1), os.Chmod(dir, tt.mode))
			}
			s := Site{Config: &config.Config{}, StateDir: stateOf(t, daemonUID)}
			s.Config.Auth.Downscope, s.Config.Container.CacheDir = tt.scope, testutil.AbsPath(t, dir)
			got := s.containerDirs()
			found(t, got, tt.want...)
			if tt.mode == 0 {
				_, command, _ := strings.Cut(got[0].Fix, ": ")
				if r, err := output(t.Context(), "/bin/sh", "-c", command); err != nil || r.Code != 0 {
					t.Fatalf("%s: %+v, %v", command, r, err)
				}
				found(t, s.containerDirs())
			}
			s.Config.Container.CacheDir, s.Config.Container.TempDir = job.AbsPath{}, testutil.AbsPath(t, "/etc/passwd")
			found(t, s.containerDirs(), "fail /etc/passwd is not a directory")
			s.Config.Container.TempDir = testutil.AbsPath(t, "/etc/passwd/images")
			if got := s.containerDirs(); strings.Contains(fixes(got), "install") {
				t.Errorf("the fix of what cannot be made: %+v", got)
			}
		})
	}
}

// TestNoPlace: root makes a directory by a fix only where no account can put a link to another one:
// its mode would be that of the link's target.
func TestNoPlace(t *testing.T) {
	for name, tt := range map[string]struct {
		mode      fs.FileMode
		owner     int
		downscope settings.Downscope
		want      string
	}{
		"root's":                  {0o755, 0, settings.Setuid, "install -d -m 1777 "},
		"for all":                 {0o777, 0, settings.Setuid, "name one below directories"},
		"for all, sticky":         {0o777 | fs.ModeSticky, 0, settings.Sudo, "name one below directories"},
		"an account's":            {0o755, 4242, settings.Setuid, "name one below directories"},
		"the service's, for jobs": {0o755, daemonUID, settings.None, "as the account of the runner's service"},
	} {
		above := openDir(t)
		testutil.Must(t, os.Chown(above, tt.owner, -1), os.Chmod(above, tt.mode))
		s := Site{Config: &config.Config{}, StateDir: stateOf(t, daemonUID)}
		s.Config.Auth.Downscope, s.Config.Container.TempDir = tt.downscope, testutil.AbsPath(t, above+"/new/images")
		got := s.containerDirs()
		found(t, got, "fail have no place")
		if !strings.Contains(got[0].Fix, tt.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestImageDir: only layers need a certain file system, and only some directories are known.
func TestImageDir(t *testing.T) {
	for name, tt := range map[string]struct {
		mechanism   settings.Mechanism
		form        settings.CacheForm
		cache, data string
		want        string
	}{
		"below data_dir":         {settings.Podman, "", "", "/lustre", "/lustre"},
		"a directory of its own": {settings.Podman, "", "/local", "/lustre", "/local"},
		"and homes":              {settings.Podman, "", "/local", "$HOME", "/local"},
		"below homes":            {settings.Podman, "", "", "$HOME", ""},
		"by a variable":          {settings.Podman, "", "", "/scratch/$PROJECT", ""},
		"one file":               {settings.Podman, settings.SquashfsForm, "", "/lustre", ""},
		"one file, elsewhere":    {settings.Podman, settings.SquashfsForm, "/local", "/lustre", ""},
		"of Apptainer":           {settings.Apptainer, "", "/local", "/lustre", ""},
	} {
		s := Site{Config: &config.Config{}}
		s.Config.General.RunMechanism, s.Config.Container.CacheForm = tt.mechanism, tt.form
		testutil.Must(t, s.Config.General.DataDir.UnmarshalText([]byte(tt.data)))
		if tt.cache != "" {
			s.Config.Container.CacheDir = testutil.AbsPath(t, tt.cache)
		}
		if got := s.imageDir(); got != tt.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestImageStorage(t *testing.T) {
	for kind, want := range map[string]string{
		"ext4": "ok images are stored in /x (ext4)", "xfs": "ok", "tmpfs": "ok", "nfs4": "warn file system (nfs4) cannot contain", "lustre": "warn", "fuse.sshfs": "warn", "fuseblk": "warn", "": "ok",
	} {
		found(t, judgeStorage("/x", kind), want)
	}
	found(t, imageStorage(containerSite(t, "/bin/true", "/proc")), "ok images are stored in /proc (proc)")
	found(t, imageStorage(Site{Config: &config.Config{}}))
}
