package auditlog

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"jacamar-ci/test/harness/setup/rsyslog"
)

// entered writes one record of each kind to a destination.
func entered(t *testing.T, p Destination, mark string) {
	t.Helper()
	l, err := New(Settings{Level: "info", Destination: p, Lost: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	l.Decided(Subject{Login: mark}, Verdict{Rule: "root"})
	l.Ended(Subject{Login: mark}, End{Exit: "ok"})
	l.Close()
}

// datagrams collects two packets.
func datagrams(t *testing.T, conn net.PacketConn) []string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 2 {
		b := make([]byte, 64<<10)
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(b[:n]))
	}
	return got
}

func unixSink(t *testing.T) (net.PacketConn, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, path
}

const date = `[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d`

// shaped compares messages with their expected heads and returns their JSON.
func shaped(t *testing.T, got, heads []string) {
	t.Helper()
	for i, head := range heads {
		m := regexp.MustCompile(`^` + head + `(\{.*\})\n?$`).FindStringSubmatch(got[i])
		if m == nil {
			t.Fatalf("message %d is %q, want %s…", i, got[i], head)
		}
		var r map[string]any
		if err := json.Unmarshal([]byte(m[1]), &r); err != nil || r["login"] != "mark" {
			t.Errorf("message %d: %v, %v", i, err, r)
		}
	}
}

func TestLocalSyslog(t *testing.T) {
	conn, path := unixSink(t)
	entered(t, localSyslog(path), "mark")
	head := fmt.Sprintf(`%s jacamar-auth\[%d\]: `, date, os.Getpid())
	shaped(t, datagrams(t, conn), []string{"<84>" + head, "<86>" + head})
}

func TestJournal(t *testing.T) {
	conn, path := unixSink(t)
	entered(t, journalAt(path), "mark")
	head := func(severity int) string {
		return fmt.Sprintf("PRIORITY=%d\nSYSLOG_FACILITY=10\nSYSLOG_IDENTIFIER=jacamar-auth\nMESSAGE=", severity)
	}
	shaped(t, datagrams(t, conn), []string{head(4), head(6)})
}

func TestRemoteUDP(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	entered(t, RemoteSyslog("udp", conn.LocalAddr().String()), "mark")
	head := fmt.Sprintf(`%s \S+ jacamar-auth\[%d\]: `, date, os.Getpid())
	got := datagrams(t, conn)
	shaped(t, got, []string{"<84>" + head, "<86>" + head})
	if strings.HasSuffix(got[0], "\n") {
		t.Error("a datagram ends with a line end")
	}
}

func TestRemoteTCP(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	entered(t, RemoteSyslog("tcp", listener.Addr().String()), "mark")
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var got []string
	for s := bufio.NewScanner(conn); s.Scan(); {
		got = append(got, s.Text())
	}
	if len(got) != 2 {
		t.Fatalf("%d lines", len(got))
	}
	head := fmt.Sprintf(`%s \S+ jacamar-auth\[%d\]: `, date, os.Getpid())
	shaped(t, got, []string{"<84>" + head, "<86>" + head})
}

// loses verifies that a destination fails within the timeout and reports it once.
func loses(t *testing.T, p Destination) {
	t.Helper()
	reported := 0
	l, err := New(Settings{Level: "info", Destination: p, Lost: func(error) { reported++ }})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for range 10000 {
		l.Ended(Subject{Login: "mark"}, End{Exit: "ok"})
	}
	l.Close()
	if reported != 1 {
		t.Errorf("reported %d times", reported)
	}
	if d := time.Since(start); d > 2*sendTimeout+5*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestNoListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	for name, p := range map[string]Destination{
		"syslog":  localSyslog(filepath.Join(t.TempDir(), "none")),
		"journal": journalAt(filepath.Join(t.TempDir(), "none")),
		"tcp":     RemoteSyslog("tcp", closed),
	} {
		t.Run(name, func(t *testing.T) { loses(t, p) })
	}
}

// TestNoReader has a log service that hangs: its socket fills up.
func TestNoReader(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a write's time limit")
	}
	t.Parallel()
	_, path := unixSink(t)
	loses(t, localSyslog(path))
}

func TestRsyslog(t *testing.T) {
	t.Parallel()
	server := rsyslog.Start(t)
	for name, tc := range map[string]Destination{
		"socket": localSyslog(server.Socket),
		"udp":    RemoteSyslog("udp", server.UDP),
		"tcp":    RemoteSyslog("tcp", server.TCP),
	} {
		t.Run(name, func(t *testing.T) {
			mark := "rsyslog-" + name
			entered(t, tc, mark)
			server.Await(t, `"event":"stage_end","exit":"ok","level":"info","login":"`+mark+`"`)
			text := server.Await(t, `"login":"`+mark+`","msg":"deny by root"`)
			for line := range strings.Lines(text) {
				if strings.Contains(line, `"decision":"deny"`) && !strings.HasPrefix(line, "authpriv.warning<84> jacamar-auth[") &&
					!strings.HasPrefix(line, "authpriv.warning jacamar-auth[") {
					t.Errorf("arrived as %q", line)
				}
			}
		})
	}
}
