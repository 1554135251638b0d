package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// initArgument is the first argument of the process that prepares the container.
const initArgument = "fake-init"

// execute runs a command in an image: the first process of the container is the command,
// and this one forwards signals to it.
func execute(args []string) (int, error) {
	o, rest, err := parse(args)
	if err != nil {
		return 0, err
	}
	if len(rest) < 2 {
		return 0, errors.New("exec: no image or no command")
	}
	work := o.last("--workdir")
	if work == "" {
		if work, err = os.MkdirTemp("", "fake-"); err != nil {
			return 0, err
		}
		defer os.RemoveAll(work)
	}
	env, err := unpackImage(rest[0], filepath.Join(work, "root"), o)
	if err != nil {
		return 0, err
	}
	dir := o.last("--pwd")
	if dir == "" {
		dir = "/"
	}
	plan := Plan{Root: filepath.Join(work, "root"), Temp: filepath.Join(work, "tmp"), Home: o.last("--home"), Binds: o["--bind"], Dir: dir, Argv: rest[1:]}
	return plan.start(env)
}

// Plan is what the first process of a container does.
type Plan struct {
	Root, Temp, Home, Dir string
	Binds, Argv           []string
}

// unpackImage unpacks an image and returns the environment of a command in it.
func unpackImage(image, root string, o options) ([]string, error) {
	text, rest, file, err := open(image)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command("tar", "-C", root, "-xf", "-", "--no-same-owner")
	cmd.Stdin = rest
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("while mounting image: %w: %s", err, out)
	}
	var config struct{ Env []string }
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	_, home, _ := strings.Cut(o.last("--home"), ":")
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + home, "TERM=xterm", "APPTAINER_NAME=image.sif"}, config.Env...)
	for _, pair := range os.Environ() {
		if own, ok := strings.CutPrefix(pair, "APPTAINERENV_"); ok {
			env = append(env, own)
		}
	}
	return append(env, o["--env"]...), nil
}

func (p Plan) start(env []string) (int, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program, initArgument, string(text))
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = os.Stdin, os.Stdout, os.Stderr, env
	for fd := uintptr(3); fd < 10; fd++ {
		// Descriptors of Go's own runtime are closed on exec.
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 && int(fd) == 3+len(cmd.ExtraFiles) {
			cmd.ExtraFiles = append(cmd.ExtraFiles, os.NewFile(fd, "inherited"))
		}
	}
	uid, gid := os.Geteuid(), os.Getegid()
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// An account other than root loses its capabilities on execve(2).
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT},
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("container creation failed: %w", err)
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	_ = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// inside prepares the container and becomes its command.
func inside(args []string) error {
	var p Plan
	if err := json.Unmarshal([]byte(args[0]), &p); err != nil {
		return err
	}
	if err := p.mount(); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return unix.Chroot(p.Root) },
		func() error { return unix.Chdir(p.Dir) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("container creation failed: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	path, err := exec.LookPath(p.Argv[0])
	if err != nil {
		return fmt.Errorf("%q: %w", p.Argv[0], err)
	}
	return fmt.Errorf("%q: %w", path, syscall.Exec(path, p.Argv, os.Environ()))
}

func (p Plan) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(p.Temp, 0o777); err != nil {
		return err
	}
	binds := append([]string{"/dev:/dev", "/sys:/sys", p.Temp + ":/tmp", p.Home}, p.Binds...)
	for _, bind := range binds {
		if bind == "" {
			continue
		}
		parts := strings.Split(bind, ":")
		target := filepath.Join(p.Root, parts[len(parts)-1])
		if len(parts) == 3 {
			target = filepath.Join(p.Root, parts[1])
		}
		if err := place(parts[0], target); err != nil {
			return fmt.Errorf("mount %s: %w", bind, err)
		}
	}
	proc := filepath.Join(p.Root, "proc")
	if err := os.MkdirAll(proc, 0o755); err != nil {
		return err
	}
	return unix.Mount("proc", proc, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

func place(source, target string) error {
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		var file *os.File
		if file, err = os.OpenFile(target, os.O_CREATE, 0o644); err == nil {
			err = file.Close()
		}
	}
	if err != nil {
		return err
	}
	return unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, "")
}
