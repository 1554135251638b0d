package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"jacamar-ci/internal/cell"
	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/images"
	"jacamar-ci/test/harness/setup/containers"
	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/site"
)

// contained compares the start of a script in a container with the same command of the
// engine by hand, and prepare with that of a job without an image.
func contained(install *site.Install, rounds int) (err error) {
	for _, files := range []map[string]string{containers.Programs(), images.Programs()} {
		if missing := debian.Missing(files); len(missing) > 0 {
			fmt.Printf("\nContainers: the packages %v are missing\n", missing)
			return nil
		}
	}
	dir, err := os.MkdirTemp("", "jacamar-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	list, err := images.Catalogue(dir)
	if err != nil {
		return err
	}
	registry, err := images.Serve(dir, list[:1])
	if err != nil {
		return err
	}
	defer registry.Close()
	fmt.Printf("\nThe script `true` in a container; %d rounds, taking turns\n\n", rounds)
	for _, engine := range []string{"podman", "charliecloud"} {
		work := func(b *benchmark) error { return b.container(engine, registry, registry.Host+"/"+list[0].Name) }
		if err := alone(install, rounds, work); err != nil {
			return err
		}
	}
	return nil
}

// container measures one engine.
func (b *benchmark) container(engine string, registry *images.Registry, image string) error {
	authority, err := os.ReadFile(registry.CAFile)
	if err != nil {
		return err
	}
	file := filepath.Join(b.site.Dir, "registry-ca.pem")
	err = errors.Join(os.WriteFile(file, authority, 0o644), b.site.Reconfigure(func(c site.Config) {
		c.Set("general", "run_mechanism", engine)
		c.Set("container", "registry_ca", file)
	}))
	if err != nil {
		return err
	}
	start, stop, err := b.startOf(image)
	defer stop()
	if err != nil {
		return err
	}
	defer func() { b.image = "" }()
	if err := b.compareStage("build_script", image, subject{engine + " run, by hand", start.byHand(b.site.Account)}); err != nil {
		return err
	}
	return b.compareStage("prepare", image)
}

// compareStage compares a stage of a job with an image with others, and with that of a job
// without one, and prints how much longer it takes than each.
func (b *benchmark) compareStage(stage, image string, others ...subject) error {
	b.image = image
	return b.during(stage, "true\n", func(with fakerunner.Call) error {
		b.image = ""
		return b.during(stage, "true\n", func(without fakerunner.Call) error {
			all := append(others, subject{stage + " without an image", again(without)}, subject{stage + " with the image", again(with)})
			samples, err := takeTurns(b.site, all, b.rounds)
			if err != nil {
				return err
			}
			ours := len(samples) - 1
			for i, s := range samples[:ours] {
				fmt.Printf("%-30s %s (%s), %s less\n", all[i].name, millis(s.median()), s.spread(), millis(samples[ours].median()-s.median()))
			}
			fmt.Printf("%-30s %s (%s)\n", all[ours].name, millis(samples[ours].median()), samples[ours].spread())
			return nil
		})
	})
}

// engineStart is the command by which jacamar has started a container.
type engineStart struct {
	argv, env []string
	state     string // its own directory
	store     string // where the link in it leads
}

// startOf begins a job in the image and reads the command of its container. The directories
// of the job are there until stop is called.
func (b *benchmark) startOf(image string) (s engineStart, stop func(), err error) {
	j := b.site.Job()
	j.Image, j.Bare, j.Raw = image, true, map[string][]byte{"build_script": []byte("echo under way; sleep 10000\n")}
	r := b.site.Runner()
	r.Judge = nil
	e := r.Start(j)
	stop = func() {
		e.Abort()
		e.Wait()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.AwaitOutput(ctx, "build_script", "under way\n"); err != nil {
		return s, stop, fmt.Errorf("%w: %s", err, e.Trace())
	}
	p, err := e.AwaitStage(ctx, "build_script", 1)
	if err != nil {
		return s, stop, err
	}
	for _, pid := range proctree.Descendants(p.PID) {
		// The process has become the second unshare(1) of the cell, whose first one did not fork.
		argv := nulTexts(pid, "cmdline")
		if i := slices.Index(argv, "cell"); i > 0 && filepath.Base(argv[0]) == "unshare" {
			s.argv, s.env = cell.Cell{}.Argv(argv[i+1:]), nulTexts(pid, "environ")
			break
		}
	}
	for _, pair := range s.env {
		if path, found := strings.CutPrefix(pair, "TMPDIR="); found {
			s.state = path
		}
	}
	s.store, err = os.Readlink(filepath.Join(s.state, "image"))
	return s, stop, err
}

// nulTexts are the texts of a file of a process (proc(5)).
func nulTexts(pid int, name string) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// byHand is the same command as the account, with a directory of its own that is removed
// by the next one.
func (s engineStart) byHand(a site.Account) func() *exec.Cmd {
	last := ""
	return func() *exec.Cmd {
		if last != "" {
			_ = os.RemoveAll(last)
		}
		dir, err := os.MkdirTemp("/tmp", "bh.")
		if err != nil {
			panic(err)
		}
		last = dir
		_ = errors.Join(os.Symlink(s.store, filepath.Join(dir, "image")), os.Chown(dir, int(a.UID), int(a.GID)))
		script, _ := os.CreateTemp("", "script")
		_, _ = script.WriteString("true\n")
		_, _ = script.Seek(0, 0)
		_ = os.Remove(script.Name())
		marks, _ := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		cmd := exec.Command(s.argv[0], replaced(s.argv[1:], s.state, dir)...)
		cmd.Dir, cmd.Env, cmd.ExtraFiles = "/", replaced(s.env, s.state, dir), []*os.File{script, marks}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}}
		return cmd
	}
}

// replaced are texts with another path.
func replaced(texts []string, path, by string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = strings.ReplaceAll(text, path, by)
	}
	return all
}
