package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/cmdline"
)

// asked starts jacamar-keys with a server that does not answer, and returns it
// at the moment at which its question has arrived.
func asked(t *testing.T, as *syscall.SysProcAttr, command ...string) *exec.Cmd {
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
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	question, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { question.Close() })
	if line, err := bufio.NewReader(question).ReadString('\n'); err != nil || !strings.HasPrefix(line, "GET /keys ") {
		t.Fatalf("asked %q, %v", line, err)
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

// TestRetired looks at every thread: what the kernel keeps by thread, one could
// have kept.
func TestRetired(t *testing.T) {
	service := &syscall.Credential{Uid: 4242, Gid: 4243, Groups: []uint32{4244}}
	for _, c := range []struct {
		name        string
		root        bool
		as          *syscall.SysProcAttr
		uid, groups string
	}{
		{"this test's account", false, nil, "", ""},
		{"root", true, nil, "65534 65534 65534 65534", ""},
		{"a service with ambient capabilities", true, &syscall.SysProcAttr{
			Credential: service, AmbientCaps: []uintptr{unix.CAP_SETUID, unix.CAP_SETGID},
		}, "4242 4242 4242 4242", "4244"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.root && os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			if !c.root && os.Geteuid() == 0 {
				t.Skip("needs an account that is not root")
			}
			pid := asked(t, c.as).Process.Pid
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
				if c.root && (s["Uid"] != c.uid || s["Groups"] != c.groups) {
					t.Errorf("%s: uids %q and groups %q, want %q and %q", thread, s["Uid"], s["Groups"], c.uid, c.groups)
				}
			}
			var owner unix.Stat_t
			if err := unix.Stat(fmt.Sprintf("/proc/%d/mem", pid), &owner); err != nil || owner.Uid != 0 {
				t.Errorf("its memory is uid %d's to look at: %v", owner.Uid, err)
			}
		})
	}
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

// TestEndsWithItsParent: the kernel takes the death signal back from a process
// that changes its account.
func TestEndsWithItsParent(t *testing.T) {
	parent := asked(t, nil, "/bin/sh", "-c", `"$@" & wait`, "sh")
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
