package check

import (
	"os"
	"slices"
	"strings"
	"testing"

	"jacamar-ci/internal/cell"
	"jacamar-ci/internal/config"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
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
	if lines := containers(t.Context(), Site{Config: &config.Config{}}); lines != nil {
		t.Errorf("without run_mechanism: %v", lines)
	}
	s := containerSite(t, "/no/such/podman", "/")
	if lines := containers(t.Context(), s); len(lines) != 1 || lines[0].Result != Fail || !strings.Contains(lines[0].Text, "/no/such/podman") {
		t.Errorf("%v", lines)
	}
	if lines := containers(t.Context(), containerSite(t, "/bin/podman-hpc", "/")); len(lines) != 1 || lines[0].Result != Fail || !strings.Contains(lines[0].Fix, "cache_form") {
		t.Errorf("%v", lines)
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

func TestImageStorage(t *testing.T) {
	local := containerSite(t, "/bin/true", "/")
	if lines := imageStorage(local); len(lines) != 1 {
		t.Errorf("%v", lines)
	}
	if lines := imageStorage(containerSite(t, "/bin/true", "/proc")); len(lines) != 1 || !strings.Contains(lines[0].Text, "proc") {
		t.Errorf("%v", lines)
	}
	files := containerSite(t, "/bin/true", "/proc")
	if files.Config.Container.CacheForm = settings.SquashfsForm; imageStorage(files) != nil {
		t.Error("files need no local disk")
	}
	if slices.Contains(remote, "ext4") || slices.Contains(remote, "xfs") {
		t.Error("local file systems are counted as remote")
	}
}
