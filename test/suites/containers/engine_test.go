package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"jacamar-ci/test/harness/fakeschedulers"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/site"
)

// engine is a container program under test.
type engine struct {
	name string
	// need skips where it cannot run.
	need func(*testing.T, *world)
	// table is its table of the configuration.
	table func(*world) site.Table
	// unlike names the cases that have another result, with the reason.
	unlike map[string]string
}

// hiddenShell is why the log has no hint on the shell of an image.
const hiddenShell = "the image is a file, in which jacamar does not see the shell"

func engines() []engine {
	return []engine{
		{name: "podman"},
		{name: "charliecloud", need: needFUSE, unlike: map[string]string{
			"dash without the flag":                    hiddenShell,
			"several lines in the image's environment": "its file of variables holds one line for each, and the variable is not set",
		}},
		apptainer(),
	}
}

func needFUSE(t *testing.T, _ *world) {
	t.Helper()
	file, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("needs /dev/fuse: %v", err)
	}
	file.Close()
}

// needApptainer builds the imitation: Debian has no Apptainer.
func needApptainer(t *testing.T, w *world) {
	t.Helper()
	needFUSE(t, w) // as for the real one
	w.fake.Do(func() { w.fakeErr = w.buildFake() })
	if w.fakeErr != nil {
		t.Fatal(w.fakeErr)
	}
}

func (w *world) buildFake() error {
	bin := filepath.Join(w.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(bin, "apptainer"), "jacamar-ci/test/harness/fakeapptainer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the imitation of apptainer: %w\n%s", err, out)
	}
	return nil
}

// executor is where jobs run: on this host, or in a batch system.
type executor struct {
	name   string
	change func(*testing.T, *world) func(site.Config)
}

// executors are this host, a real Slurm and the imitations of batch systems. In short mode
// the imitations are two.
func executors() []executor {
	all := []executor{onShell, {"slurm", realSlurm}}
	for _, kind := range fakeschedulers.Kinds() {
		if !testing.Short() || kind == "pbs" || kind == "lsf" {
			all = append(all, executor{"fake " + kind, imitation(kind)})
		}
	}
	return all
}

var onShell = executor{"shell", func(*testing.T, *world) func(site.Config) { return func(site.Config) {} }}

// realSlurm is one cluster for all tests of the process, in its mount namespace.
func realSlurm(t *testing.T, w *world) func(site.Config) {
	t.Helper()
	w.slurm.Do(func() { w.slurmErr = w.startSlurm() })
	if w.slurmErr != nil {
		t.Fatal(w.slurmErr)
	}
	return site.Slurm(w.cluster.Conf(), "")
}

func (w *world) startSlurm() (err error) {
	if w.clusterDir, err = slurm.NewDir(); err != nil {
		return err
	}
	w.cluster, err = slurm.Up(w.clusterDir, slurm.Options{})
	return err
}

// imitation is a batch system of package fakeschedulers.
func imitation(kind string) func(*testing.T, *world) func(site.Config) {
	return func(t *testing.T, _ *world) func(site.Config) {
		t.Helper()
		dir, err := os.MkdirTemp("/srv", "jacamar-fake-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		store, err := fakeschedulers.Create(filepath.Join(dir, "state"), kind)
		bin := filepath.Join(dir, "bin")
		if err = errors.Join(err, fakeschedulers.Install(bin, kind), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		t.Cleanup(stop)
		go store.Serve(ctx, filepath.Join(bin, fakeschedulers.Program))
		if err := store.Behave(fakeschedulers.Behaviour{KillWait: 5}); err != nil {
			t.Fatal(err)
		}
		return func(c site.Config) {
			c.Set("general", "executor", executorOf(kind))
			c.Set("general", "kill_timeout", "90s")
			c.Set("batch", "env_vars", []string{store.Env()})
			c.Set("batch", "scheduler_bin", bin)
			c.Set("batch", "cancel_grace", "3s")
			if kind == "cobalt" {
				c.Set("batch", "default_args", []string{"-t", "10", "-n", "1"})
			}
		}
	}
}

// executorOf is the executor for a kind of imitations: Torque is a kind of PBS.
func executorOf(kind string) string {
	if kind == "torque" {
		return "pbs"
	}
	return kind
}
