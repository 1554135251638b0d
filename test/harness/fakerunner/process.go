package fakerunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// command is one start of the driver.
type command struct {
	argv           []string
	env            []string
	dir            string
	credential     *Credential
	stdout, stderr io.Writer
	graceful       time.Duration
	force          time.Duration
	longest        time.Duration // of a test, 0 for none
	started        func(pid int)
	warn           func(format string, args ...any)
}

var errDormant = errors.New("failed to kill process, likely process is dormant")

// run starts the driver and waits until it is reaped and both its pipes are at
// their end. When ctx ends first it stops the process group; the result of
// Wait still counts.
func (c command) run(ctx context.Context) error {
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Env, cmd.Dir = c.env, c.dir
	cmd.Stdout, cmd.Stderr = c.stdout, c.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.credential.syscall()}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("failed to start process: %w", err)
	}
	c.started(cmd.Process.Pid)
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	var overdue <-chan time.Time
	if c.longest > 0 {
		overdue = time.After(c.longest)
	}
	select {
	case err := <-waited:
		return err
	case <-ctx.Done():
		return c.stop(cmd.Process.Pid, waited)
	case <-overdue:
		return c.hung(cmd.Process.Pid, waited)
	}
}

// hung ends a call that takes longer than any of a test: the error has the processes of
// the machine, as the one that does not end may be outside the group.
func (c command) hung(pid int, waited <-chan error) error {
	all, err := exec.Command("ps", "-eo", "pid,ppid,pgid,user,stat,wchan:30,args", "--forest").CombinedOutput()
	c.kill(pid)
	_, _ = await(waited, c.force)
	return fmt.Errorf("process %d has not ended in %v (%v):\n%s", pid, c.longest, err, all)
}

// stop sends SIGTERM to the group, and kills it after the graceful time. When no process
// can be signalled it kills at once but waits just as long.
func (c command) stop(pid int, waited <-chan error) error {
	if err := c.signal(pid, syscall.SIGTERM); err != nil {
		c.warn("Failed to terminate process: %v", err)
		c.kill(pid)
	}
	if ok, err := await(waited, c.graceful); ok {
		return err
	}
	c.kill(pid)
	if ok, err := await(waited, c.force); ok {
		return err
	}
	return errDormant
}

func (c command) kill(pid int) {
	if err := c.signal(pid, syscall.SIGKILL); err != nil {
		c.warn("Failed to force-kill process: %v", err)
	}
}

func await(waited <-chan error, d time.Duration) (bool, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-waited:
		return true, err
	case <-timer.C:
		return false, nil
	}
}

// signal sends sig to the driver's process group with the privileges of the
// runner's account: processes that this account may not signal do not get it.
func (c command) signal(pid int, sig syscall.Signal) error {
	if c.credential == nil {
		return syscall.Kill(-pid, sig)
	}
	// The shell's own kill, since a setuid of this process would be permanent.
	sh := exec.Command("/bin/sh", "-c", fmt.Sprintf("kill -s %d -- -%d", int(sig), pid))
	sh.Env = []string{"PATH=/usr/bin:/bin"}
	sh.SysProcAttr = &syscall.SysProcAttr{Credential: c.credential.syscall()}
	if out, err := sh.CombinedOutput(); err != nil {
		return fmt.Errorf("kill as uid %d: %s", c.credential.UID, out)
	}
	return nil
}
