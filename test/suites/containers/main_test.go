// Package containers runs jobs with `image:` through the built programs and real
// container engines: one table of cases for every engine on this host and in batch
// systems, with images and registries of the suite's own.
package containers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/setup/containers"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/slurm"
	"jacamar-ci/test/harness/setup/syscalls"
	"jacamar-ci/test/harness/site"
)

func TestMain(m *testing.M) {
	syscalls.Main()
	if err := containers.Enter(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := site.Main(m)
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// shared is what all tests of this process use: the registries and their images.
var shared world

type world struct {
	once sync.Once
	err  error
	dir  string
	// real is Debian's docker-registry, which requires the login; own is open and plays
	// faults.
	real *containers.Registry
	own  *images.Registry
	all  map[string]images.Packed

	fake    sync.Once
	fakeErr error

	postgres     sync.Once
	postgresErr  error
	postgresName string

	runner     sync.Once
	runnerErr  error
	runnerName string

	slurm      sync.Once
	slurmErr   error
	clusterDir string
	cluster    *slurm.Cluster
}

// theWorld returns it, and skips where the engines cannot run.
func theWorld(t testing.TB) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: the engines get a mount namespace with devices and cgroups of an ordinary host")
	}
	debian.Need(t, containers.Programs())
	debian.Need(t, images.Programs())
	shared.once.Do(func() { shared.err = shared.open() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return &shared
}

const worldPrefix = "jacamar-containers-"

// sweep removes the directories of test processes that were killed.
func sweep() error {
	dirs, err := filepath.Glob("/srv/" + worldPrefix + "*-*")
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), worldPrefix), "-")
		if _, serr := os.Stat("/proc/" + pid); os.IsNotExist(serr) {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return err
}

func (w *world) open() (err error) {
	if err := sweep(); err != nil {
		return err
	}
	if w.dir, err = os.MkdirTemp("/srv", fmt.Sprintf("%s%d-", worldPrefix, os.Getpid())); err != nil {
		return err
	}
	list, err := images.Catalogue(w.dir)
	if err != nil {
		return err
	}
	w.all = map[string]images.Packed{}
	for _, p := range list {
		w.all[p.Name] = p
	}
	registry := filepath.Join(w.dir, "registry")
	if err := os.Mkdir(registry, 0o755); err != nil {
		return err
	}
	if w.own, err = images.Serve(w.dir, list); err != nil {
		return err
	}
	if w.real, err = containers.StartRegistry(registry, list); err != nil {
		return err
	}
	return errors.Join(os.Chmod(w.dir, 0o755), w.authorities())
}

// authorities writes one file with the certificates of both registries, the value of
// container.registry_ca.
func (w *world) authorities() error {
	var all []byte
	for _, file := range []string{w.own.CAFile, w.real.CAFile} {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	return os.WriteFile(w.ca(), all, 0o644)
}

func (w *world) ca() string { return filepath.Join(w.dir, "ca.pem") }

func (w *world) close() (err error) {
	if w.clusterDir != "" {
		err = slurm.Down(w.clusterDir)
	}
	if w.real != nil {
		err = errors.Join(err, w.real.Close())
	}
	if w.own != nil {
		w.own.Close()
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}
