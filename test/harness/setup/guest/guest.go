// Package guest runs a command under a Linux kernel of its own, User Mode Linux
// (https://docs.kernel.org/virt/uml/user_mode_linux_howto_v2.html), for what the
// machine's kernel may not have: NFS. The guest sees the machine's files and
// processes of its own; its network is its own loopback.
//
// It serves /mnt/export by NFS, with root_squash, and can mount it:
//
//	mount -i -t nfs4 -o addr=127.0.0.1,clientaddr=127.0.0.1,vers=4.2 127.0.0.1:/ DIR
//
// Do not store users' files of the guest among the machine's files: those that it
// creates there belong to root.
package guest

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

//go:embed guest.sh
var script []byte

//go:embed xstate.c.txt
var xstate []byte

const kernel = "/usr/bin/linux.uml"

// Programs are what it needs, as files and the Debian packages that have them.
func Programs() map[string]string {
	all := map[string]string{kernel: "user-mode-linux", "/usr/bin/busybox": "busybox-static", "/usr/bin/mount": "mount"}
	if hasAMX() {
		all["/usr/bin/gcc"], all["/usr/include/dlfcn.h"] = "gcc", "libc6-dev"
	}
	return all
}

// hasAMX reports whether processors have more state than the guest's kernel has space for.
func hasAMX() bool {
	text, _ := os.ReadFile("/proc/cpuinfo")
	return bytes.Contains(text, []byte(" amx_tile"))
}

// environment is that of the guest's kernel.
func environment(dir string) ([]string, error) {
	if !hasAMX() {
		return nil, nil
	}
	source, library := filepath.Join(dir, "xstate.c"), filepath.Join(dir, "xstate.so")
	if err := os.WriteFile(source, xstate, 0o644); err != nil {
		return nil, err
	}
	if out, err := exec.Command("gcc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot compile %s: %w\n%s", source, err, out)
	}
	return append(os.Environ(), "LD_PRELOAD="+library), nil
}

// Run runs a command as the guest's root and returns its output. dir is a new
// directory of root's, outside of /tmp, which the guest hides. The command ends with ctx,
// and where that has no deadline after five minutes.
func Run(ctx context.Context, dir string, env []string, argv ...string) (output string, err error) {
	limit := 5 * time.Minute
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	if err := prepare(dir, limit, env, argv); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, kernel, "mem=1G", "rootfstype=hostfs", "rootflags=/", "rw", "init="+filepath.Join(dir, "guest.sh"),
		"GUEST="+dir, "uml_dir="+dir, "umid=guest", "con=null", "con0=null,fd:1", "ssl=null", "quiet")
	if cmd.Env, err = environment(dir); err != nil {
		return "", err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// On SIGTERM the kernel ends all its processes and itself.
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, 10*time.Second
	console, err := cmd.CombinedOutput()
	if bytes.Contains(console, poweredDown) {
		err = nil // on a busy machine the kernel can abort after this line
	}
	text, rerr := os.ReadFile(filepath.Join(dir, "output"))
	if err = errors.Join(ctx.Err(), err, rerr); err != nil {
		return string(text), fmt.Errorf("the guest: %w\n%s", err, console)
	}
	return string(text), status(dir)
}

// poweredDown is what the guest's kernel prints when the command and all else has ended.
var poweredDown = []byte("reboot: Power down")

func prepare(dir string, limit time.Duration, env, argv []string) error {
	command := "#!/bin/bash\nexec env"
	for _, word := range append(append([]string{}, env...), argv...) {
		command += " '" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "guest.sh"), script, 0o755),
		os.WriteFile(filepath.Join(dir, "limit"), fmt.Appendf(nil, "%d\n", max(1, int(limit.Seconds()))), 0o644),
		os.WriteFile(filepath.Join(dir, "command"), []byte(command+"\n"), 0o755),
	)
}

func status(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "status"))
	if err == nil && strings.TrimSpace(string(text)) != "0" {
		err = fmt.Errorf("the command ended with status %s", strings.TrimSpace(string(text)))
	}
	return err
}
