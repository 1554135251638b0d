// Package rsyslog runs a real rsyslog for a test, with private sockets and
// files.
package rsyslog

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/setup/debian"
	"jacamar-ci/test/harness/setup/freeports"
)

// Server is a running rsyslog.
type Server struct {
	// Socket is what /dev/log is elsewhere; UDP and TCP are host:port.
	Socket, UDP, TCP string
	// File has every record that arrived: priority, tag and text.
	File string
}

// Start runs rsyslog until the test ends. It needs root for the package only.
func Start(t testing.TB) *Server {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/sbin/rsyslogd": "rsyslog"})
	dir := t.TempDir()
	s := &Server{Socket: filepath.Join(dir, "log"), File: filepath.Join(dir, "messages"), UDP: free(t), TCP: free(t)}
	s.run(t, dir, s.config(dir), s.listens)
	return s
}

// StartLocal runs rsyslog at a socket for the programs of this machine until the
// test ends. It applies the rules to messages; File has every message that they do not
// stop. With trusted it takes the sender's uid and program from the
// kernel.
func StartLocal(t testing.TB, socket, rules string, trusted bool) *Server {
	t.Helper()
	debian.Need(t, map[string]string{"/usr/sbin/rsyslogd": "rsyslog"})
	dir := t.TempDir()
	s := &Server{Socket: socket, File: filepath.Join(dir, "messages")}
	parameters := ""
	if trusted {
		parameters = ` SysSock.Annotate="on" SysSock.ParseTrusted="on"`
	}
	s.run(t, dir, fmt.Sprintf(`
global(workDirectory=%q)
module(load="imuxsock" SysSock.Name=%q SysSock.Unlink="on"%s)
%s
template(name="whole" type="string" string="%%syslogtag%%%%msg%%\n")
action(type="omfile" file=%q template="whole" asyncWriting="off" flushOnTXEnd="on")
`, dir, socket, parameters, rules, s.File), func() bool {
		conn, err := net.Dial("unixgram", socket)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return s
}

// run starts rsyslogd, which the test's end stops, and waits until it listens.
func (s *Server) run(t testing.TB, dir, text string, listens func() bool) {
	t.Helper()
	conf := filepath.Join(dir, "rsyslog.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command("/usr/sbin/rsyslogd", "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	if !eventually(time.Minute, listens) {
		t.Fatalf("rsyslogd does not listen:\n%s", out.String())
	}
}

func (s *Server) config(dir string) string {
	return fmt.Sprintf(`
global(workDirectory=%q)
module(load="imuxsock" SysSock.Name=%q SysSock.Unlink="on")
module(load="imudp")
module(load="imtcp")
input(type="imudp" address="127.0.0.1" port=%q)
input(type="imtcp" address="127.0.0.1" port=%q)
template(name="whole" type="string" string="%%pri-text%% %%syslogtag%%%%msg%%\n")
action(type="omfile" file=%q template="whole" asyncWriting="off" flushOnTXEnd="on")
`, dir, s.Socket, port(s.UDP), port(s.TCP), s.File)
}

// listens reports whether all three ways are open.
func (s *Server) listens() bool {
	if _, err := os.Stat(s.Socket); err != nil {
		return false
	}
	conn, err := net.Dial("tcp", s.TCP)
	if err != nil {
		return false
	}
	defer conn.Close()
	// The UDP port is open when a second listener is refused.
	other, err := net.ListenPacket("udp", s.UDP)
	if err == nil {
		other.Close()
	}
	return err != nil
}

// Await returns the lines that arrived once one of them has text in it.
func (s *Server) Await(t testing.TB, text string) string {
	t.Helper()
	var b []byte
	if !eventually(time.Minute, func() bool {
		b, _ = os.ReadFile(s.File)
		return strings.Contains(string(b), text)
	}) {
		t.Fatalf("no %q arrived in:\n%s", text, b)
	}
	return string(b)
}

func eventually(within time.Duration, ok func() bool) bool {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); <-again.C {
		if ok() {
			return true
		}
	}
	return ok()
}

func port(address string) string {
	_, p, _ := strings.Cut(address, ":")
	return p
}

func free(t testing.TB) string {
	t.Helper()
	address, err := freeports.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}
