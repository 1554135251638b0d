package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// subject is one command that is measured.
type subject struct {
	name string
	make func() *exec.Cmd
}

// run runs the command as the runner would, its output read through a pipe.
func (s subject) run() (time.Duration, error) {
	cmd := s.make()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", s.name, err, out.Bytes())
	}
	return took, nil
}

// language is that of the fake runner, and so of a job's shells: they read the files of
// a locale at their start, which takes time.
const language = "LANG=C.UTF-8"

// plain is a command with root's environment.
func plain(argv ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env, cmd.Dir = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", language}, "/"
		return cmd
	}
}

// as is a command that the kernel starts as the account directly: the lower bound for
// every way to become a user.
func as(a site.Account, argv ...string) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = a.Home
		cmd.Env = []string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=/bin/bash", "PATH=/usr/local/bin:/usr/bin:/bin", language}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.UID, Gid: a.GID, Groups: a.Groups}}
		return cmd
	}
}

// again repeats a call of the driver.
func again(c fakerunner.Call) func() *exec.Cmd {
	return func() *exec.Cmd {
		cmd := exec.Command(c.Argv[0], c.Argv[1:]...)
		cmd.Env, cmd.Dir = c.Env, c.Dir
		return cmd
	}
}
