// Package journald runs a real systemd-journald for a test, in the mount namespace
// of the calling process, which must be one of its own.
package journald

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/test/harness/setup/debian"
)

const (
	program = "/lib/systemd/systemd-journald"
	socket  = "/run/systemd/journal/socket"
	// DevLog is the socket of syslog(3) where journald is.
	DevLog = "/run/systemd/journal/dev-log"
)

// unit is the service that Join puts a process into.
const unit = "system.slice/jacamar-test-runner.service"

// Journal is a running journald.
type Journal struct{ cgroups string }

// Start runs journald until the test ends, with these lines in the section
// [Journal] of its configuration. It covers /run/systemd and /run/log.
func Start(t testing.TB, settings string) *Journal {
	t.Helper()
	debian.Need(t, map[string]string{program: "systemd"})
	j := &Journal{cgroups: t.TempDir()}
	for _, dir := range []string{"/run/systemd", "/run/log"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		mount(t, "tmpfs", dir, "tmpfs")
	}
	conf := filepath.Join(t.TempDir(), "journald.conf")
	// Volatile: nothing of the machine's own journal is opened.
	text := "[Journal]\nStorage=volatile\n" + settings + "\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	bind(t, conf, "/etc/systemd/journald.conf")
	// journald finds a process's unit by its control group, of version 2.
	mount(t, "none", j.cgroups, "cgroup2")
	bind(t, j.cgroups, "/sys/fs/cgroup")
	j.run(t)
	return j
}

func (j *Journal) run(t testing.TB) {
	t.Helper()
	if err := os.MkdirAll("/run/log/journal", 0o755); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		<-ended
	})
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-again.C {
		conn, err := net.Dial("unixgram", socket)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("journald does not listen: %v\n%s", err, out.String())
		}
	}
}

// Join moves this process, and what it starts, into a service of its own until
// the test ends: journald limits messages for each service.
func (j *Journal) Join(t testing.TB) {
	t.Helper()
	dir := filepath.Join(j.cgroups, unit)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	move := func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "cgroup.procs"), fmt.Appendf(nil, "%d", os.Getpid()), 0o644)
	}
	if err := move(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := move(j.cgroups); err != nil {
			t.Error(err)
		}
		_ = os.Remove(dir)
		_ = os.Remove(filepath.Dir(dir))
	})
}

// Entry is one message in the journal; journald itself sets the fields that begin with
// an underscore.
type Entry struct {
	Message    string `json:"MESSAGE"`
	Identifier string `json:"SYSLOG_IDENTIFIER"`
	UID        string `json:"_UID"`
	Exe        string `json:"_EXE"`
	Unit       string `json:"_SYSTEMD_UNIT"`
}

// Read returns the matching entries of journalctl, after all sent ones have arrived.
func (*Journal) Read(t testing.TB, matches ...string) (all []Entry) {
	t.Helper()
	if out, err := exec.Command("journalctl", "--sync").CombinedOutput(); err != nil {
		t.Fatalf("journalctl --sync: %v: %s", err, out)
	}
	out, err := exec.Command("journalctl", append([]string{"--output=json", "--all", "--no-pager", "--quiet"}, matches...)...).Output()
	if err != nil {
		t.Fatalf("journalctl %q: %v", matches, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		all = append(all, e)
	}
	return all
}

func mount(t testing.TB, what, where, kind string) {
	t.Helper()
	if err := unix.Mount(what, where, kind, 0, ""); err != nil {
		t.Fatalf("cannot mount %s on %s: %v", kind, where, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(where, unix.MNT_DETACH) })
}

func bind(t testing.TB, what, where string) {
	t.Helper()
	if err := unix.Mount(what, where, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		t.Fatalf("cannot bind %s over %s: %v", what, where, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(where, unix.MNT_DETACH) })
}
