// Command demo runs a small pipeline of this repository through jacamar-auth and
// jacamar, with the fake GitLab and runner of test/harness/fakerunner, and prints the
// job logs as a user sees them. It ends with "Job succeeded" and status 0, or with an
// error.
//
//	go run ./tools/demo [-executor shell|slurm]
//
// As root the jobs run as the account jci-alice, which it creates; as an ordinary
// user they run as that user. With -executor slurm they run on a Slurm cluster
// that root starts on loopback for the time of the demo.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

func main() {
	executor := flag.String("executor", "shell", "the executor that jobs use")
	flag.Parse()
	if err := demo(*executor); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(executor string) error {
	if err := ensureTools(required()); err != nil {
		return err
	}
	toolchain, err := findToolchain()
	if err != nil {
		return err
	}
	fmt.Println("Building jacamar-auth and jacamar ...")
	install, err := site.NewInstall()
	if err != nil {
		return err
	}
	scheduler, down, err := startScheduler(executor)
	if err != nil {
		return errors.Join(err, install.Remove())
	}
	return errors.Join(pipeline(install, scheduler, toolchain), down(), install.Remove())
}

// pipeline runs the two jobs and checks that no process is left.
func pipeline(install *site.Install, scheduler func(site.Config), toolchain string) error {
	s, err := install.Open(scheduler)
	if err != nil {
		return err
	}
	defer s.Close()
	source, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("cannot find the repository to clone: run this inside a clone of it (%w)", err)
	}
	repo, err := s.GitLab.AddRepository("hpc/jacamar-ci", strings.TrimSpace(string(source)))
	if err != nil {
		return err
	}
	d := demonstration{site: s, repo: repo, toolchain: toolchain}
	build := d.build()
	if _, err := d.run(build); err != nil {
		return err
	}
	test := d.test(build)
	result, err := d.run(test)
	if err != nil {
		return err
	}
	if err := d.verify(test, result); err != nil {
		return err
	}
	return d.noProcess()
}

// run runs one job and prints its log as it arrives.
func (d demonstration) run(j fakerunner.Job) (fakerunner.Result, error) {
	fmt.Printf("\n---- job %q of %s, commit %.8s ----\n", j.Name, d.repo.Path, d.repo.SHA)
	runner := d.site.Runner()
	runner.Hooks.Trace = func(p []byte) { _, _ = os.Stdout.Write(p) }
	r := runner.Run(j)
	if r.Outcome != fakerunner.Success {
		return r, fmt.Errorf("the job %s ended as %s: %s", j.Name, r.Outcome, r.Reason)
	}
	return r, nil
}

// noProcess checks that no process of the jobs is left.
func (d demonstration) noProcess() error {
	var left []site.Process
	gone := site.Eventually(5*time.Second, func() bool {
		var err error
		left, err = site.Find(d.site.Own())
		return err == nil && len(left) == 0
	})
	if !gone {
		return fmt.Errorf("the job has ended but these processes are running: %v", left)
	}
	return nil
}
