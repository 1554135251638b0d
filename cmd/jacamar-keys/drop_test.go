package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/repo/cmdline"
)

// startWaiting starts jacamar-keys with a server that does not respond, and returns
// it once its request has arrived.
func startWaiting(t *testing.T, as *syscall.SysProcAttr, command ...string) *exec.Cmd {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	command = append(command, filepath.Join(built(t), "jacamar-keys"), "http://"+server.Addr().String()+"/keys")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.SysProcAttr, cmd.Stderr = as, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, or it fails without a request
		server.Close()
		close(ended)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	request, err := server.Accept()
	if err != nil {
		t.Fatalf("no request: %v", err)
	}
	t.Cleanup(func() { request.Close() })
	if line, err := bufio.NewReader(request).ReadString('\n'); err != nil || !strings.HasPrefix(line, "GET /keys ") {
		t.Fatalf("got the request %q, %v", line, err)
	}
	return cmd
}

// built is a directory that every account can reach.
func built(t *testing.T) string {
	t.Helper()
	bin, err := os.MkdirTemp("", "jacamar-keys-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bin) })
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	cmdline.Build(t, "jacamar-keys", bin)
	return bin
}

// TestDropPrivileges checks every thread: a single one could have kept attributes
// that the kernel stores by thread.
func TestDropPrivileges(t *testing.T) {
	type ids struct{ uid, gid, groups string }
	service := &syscall.Credential{Uid: 4242, Gid: 4243, Groups: []uint32{4244}}
	itself, all := []syscall.SysProcIDMap{{Size: 1}}, []syscall.SysProcIDMap{{Size: 1<<32 - 1}}
	for _, c := range []struct {
		name    string
		root    bool
		as      *syscall.SysProcAttr
		command []string
		want    ids
	}{
		{"root, or this test's account", false, nil, nil, ids{"65534", "65534", ""}},
		{"a service with ambient capabilities", true, &syscall.SysProcAttr{
			Credential: service, AmbientCaps: []uintptr{unix.CAP_SETUID, unix.CAP_SETGID},
		}, nil, ids{"4242", "4243", "4244"}},
		{"a root that may not change its groups", true, nil, []string{"setpriv", "--clear-groups", "--bounding-set=-setgid"}, ids{"0", "0", ""}},
		{"a root that may not change its uid", true, nil, []string{"setpriv", "--clear-groups", "--bounding-set=-setuid"}, ids{"0", "0", ""}},
		{"a root without other uids", true, &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER, UidMappings: itself, GidMappings: all, GidMappingsEnableSetgroups: true,
		}, []string{"setpriv", "--clear-groups"}, ids{"0", "0", ""}},
		{"a root without other gids", true, &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER, UidMappings: all, GidMappings: itself, GidMappingsEnableSetgroups: true,
		}, []string{"setpriv", "--clear-groups"}, ids{"0", "0", ""}},
		{"root in a namespace with the ids of the machine", true, &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWUSER, UidMappings: all, GidMappings: all, GidMappingsEnableSetgroups: true,
		}, nil, ids{"65534", "65534", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			pid := startWaiting(t, c.as, c.command...).Process.Pid
			threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
			if err != nil || len(threads) < 2 {
				t.Fatalf("%d threads: %v", len(threads), err)
			}
			for _, thread := range threads {
				s := status(t, thread)
				for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
					if strings.Trim(s[set], "0") != "" {
						t.Errorf("%s: %s is %s", thread, set, s[set])
					}
				}
				if s["NoNewPrivs"] != "1" {
					t.Errorf("%s: NoNewPrivs is %q", thread, s["NoNewPrivs"])
				}
				if got := (ids{one(s["Uid"]), one(s["Gid"]), s["Groups"]}); os.Geteuid() == 0 && got != c.want {
					t.Errorf("%s: %+v, want %+v", thread, got, c.want)
				}
			}
			var owner unix.Stat_t
			if err := unix.Stat(fmt.Sprintf("/proc/%d/mem", pid), &owner); err != nil || owner.Uid != 0 {
				t.Errorf("uid %d can read its memory: %v", owner.Uid, err)
			}
		})
	}
}

// one returns the id if all four are the same, else all of them.
func one(ids string) string {
	all := strings.Fields(ids)
	if len(slices.Compact(slices.Clone(all))) == 1 {
		return all[0]
	}
	return ids
}

// status reads a file of /proc, with single spaces.
func status(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		s[name] = strings.Join(strings.Fields(value), " ")
	}
	return s
}

// TestEndsWithItsParent: the kernel clears the parent-death signal of a process that
// changes its account.
func TestEndsWithItsParent(t *testing.T) {
	parent := startWaiting(t, nil, "/bin/sh", "-c", `"$@" & wait`, "sh")
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", parent.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Sscan(string(children), &child); err != nil {
		t.Fatalf("children %q: %v", children, err)
	}
	fd, err := unix.PidfdOpen(child, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 5000)
	for err == unix.EINTR {
		n, err = unix.Poll(poll, 5000)
	}
	if n != 1 || err != nil {
		t.Errorf("it is still there 5 s after its parent: %v", err)
	}
}

// TestNoRequestWithPrivileges: if a privilege cannot be given up, no request is sent.
func TestNoRequestWithPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: other accounts have no privileges to give up")
	}
	if _, err := os.Stat("/usr/bin/strace"); err != nil {
		t.Skip("strace is not installed")
	}
	bin := built(t)
	for call, want := range map[string]string{
		"setgroups:error=EPERM":   "cannot give up root: operation not permitted",
		"setresgid:error=EPERM":   "cannot give up root: operation not permitted",
		"setresuid:error=EAGAIN":  "cannot give up root: resource temporarily unavailable",
		"capget:error=EPERM":      "cannot give up root: operation not permitted",
		"capset:error=EPERM":      "cannot give up capabilities: operation not permitted",
		"getppid:retval=1:when=2": "jacamar-auth has ended",
	} {
		t.Run(call, func(t *testing.T) {
			name, _, _ := strings.Cut(call, ":")
			// No server listens there: a request would print a result.
			cmd := exec.Command("/usr/bin/strace", "-f", "-o", os.DevNull, "-e", "trace="+name, "-e", "inject="+call,
				filepath.Join(bin, "jacamar-keys"), "http://127.0.0.1:1/keys")
			var stdout, stderr strings.Builder
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			if err == nil || stdout.Len() != 0 || !strings.Contains(stderr.String(), want) {
				t.Errorf("%v: %q, %q", err, stdout.String(), stderr.String())
			}
		})
	}
}
