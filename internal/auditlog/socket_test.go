package auditlog

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAddresses connects to each kind of numeric address.
func TestAddresses(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		conn, err := net.ListenPacket("udp", listen)
		if err != nil {
			t.Logf("this machine has no %s: %v", listen, err)
			continue
		}
		defer conn.Close()
		addresses := []string{conn.LocalAddr().String()}
		if port, ok := strings.CutPrefix(addresses[0], "127.0.0.1:"); ok {
			addresses = append(addresses, "[::ffff:127.0.0.1]:"+port)
		}
		for _, address := range addresses {
			c, err := dialRemote("udp", address)
			if err != nil {
				t.Errorf("%s: %v", address, err)
				continue
			}
			if _, err := c.Write([]byte(address)); err != nil {
				t.Errorf("%s: %v", address, err)
			}
			got := make([]byte, 100)
			if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, _, err := conn.ReadFrom(got); err != nil || string(got[:n]) != address {
				t.Errorf("%s: %q, %v", address, got[:n], err)
			}
			c.Close()
		}
	}
	for _, address := range []string{"localhost:514", "[fe80::1%no-such-interface]:514", "[fe80::1%nosuch0]:514"} {
		if _, err := dialRemote("udp", address); err == nil || !strings.HasPrefix(err.Error(), "cannot use the address of the log server: ") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestZones(t *testing.T) {
	if n, err := zoneID(""); n != 0 || err != nil {
		t.Errorf("none: %d, %v", n, err)
	}
	if n, err := zoneID("7"); n != 7 || err != nil {
		t.Errorf("a number: %d, %v", n, err)
	}
	if _, err := zoneID("lo"); errors.Is(err, unix.EAFNOSUPPORT) {
		t.Skipf("this kernel has no IPv6: %v", err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if n, err := zoneID(i.Name); err != nil || n != uint32(i.Index) {
			t.Errorf("%s: %d, %v; want %d", i.Name, n, err, i.Index)
		}
	}
	for _, name := range []string{"nosuch0", strings.Repeat("n", 100)} {
		if n, err := zoneID(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

func TestMissingSocket(t *testing.T) {
	if _, err := dialLocal(filepath.Join(t.TempDir(), "none")); !errors.Is(err, unix.ENOENT) {
		t.Errorf("%v, want that it does not exist", err)
	}
}

// TestServerThatIsBusy: the queue of the log server is full when the connection begins, and
// then the server accepts it or ends. The client sends the next SYN after 1 s (tcp(7)).
func TestServerThatIsBusy(t *testing.T) {
	for name, tt := range map[string]struct {
		then func(server int) error
		want error
	}{
		"accepts": {func(server int) error {
			fd, _, err := unix.Accept(server)
			return errors.Join(err, unix.Close(fd))
		}, nil},
		"ends": {unix.Close, unix.ECONNREFUSED},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, to := busyServer(t)
			c := socket{tcpSocket(t)}
			done := make(chan error, 1)
			go func() { done <- c.connect(to, soon()) }()
			await(t, c, synSent)
			if err := tt.then(server); err != nil {
				t.Error(err)
			}
			if err := <-done; !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}

// soon is a time that a busy machine reaches all the same.
func soon() time.Time { return time.Now().Add(60 * time.Second) }

// States of linux/tcp_states.h.
const (
	established = 1
	synSent     = 2
)

func await(t *testing.T, c socket, state uint8) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		info, err := unix.GetsockoptTCPInfo(c.fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		if info.State == state {
			return
		}
		if info.State == established {
			t.Skip("this kernel queues more connections than its limit")
		}
		if time.Now().After(deadline) {
			t.Fatalf("the socket is in state %d, not %d", info.State, state)
		}
	}
}

func tcpSocket(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// busyServer listens with a queue of one connection, which is in it.
func busyServer(t *testing.T) (fd int, at unix.Sockaddr) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	if at, err = unix.Getsockname(fd); err != nil {
		t.Fatal(err)
	}
	if err := (socket{tcpSocket(t)}).connect(at, soon()); err != nil {
		t.Fatal(err)
	}
	return fd, at
}

// pair returns a nonblocking stream socket and its peer.
func pair(t *testing.T) (c socket, peer int) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(ends[0]) })
	if err := unix.SetNonblock(ends[0], true); err != nil {
		t.Fatal(err)
	}
	return socket{ends[0]}, ends[1]
}

// TestLongRecord: a record that does not fit into the socket is written while the server
// reads, which begins when the socket is full.
func TestLongRecord(t *testing.T) {
	c, peer := pair(t)
	text, read := strings.Repeat("0123456789", 100_000), make(chan int)
	go func() {
		for full := false; !full; {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}, 0)
			full = n == 0
			runtime.Gosched()
		}
		sum, buffer := 0, make([]byte, 64<<10)
		for n := 1; n > 0; sum += n {
			n, _ = unix.Read(peer, buffer)
			n = max(n, 0)
		}
		read <- sum
	}()
	if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("%d of %d bytes: %v", n, len(text), err)
	}
	if err := unix.Shutdown(c.fd, unix.SHUT_WR); err != nil {
		t.Error(err)
	}
	if n := <-read; n != len(text) {
		t.Errorf("the server has read %d of %d bytes", n, len(text))
	}
	if err := unix.Close(peer); err != nil {
		t.Error(err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("after the server ended: %v", err)
	}
}

// filled returns a socket that takes no more data.
func filled(t *testing.T) (c socket, peer int) {
	t.Helper()
	c, peer = pair(t)
	for {
		if _, err := unix.Write(c.fd, make([]byte, 1000)); errors.Is(err, unix.EAGAIN) {
			return c, peer
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestServerDoesNotRead(t *testing.T) {
	c, _ := filled(t)
	if err := c.awaitWritable(time.Now().Add(20 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want that it took too long", err)
	}
}

// TestSignalsDoNotEndTheWait: the Go runtime sends SIGURG to its own threads, which
// interrupts poll(2).
func TestSignalsDoNotEndTheWait(t *testing.T) {
	c, peer := filled(t)
	tid, done := make(chan int), make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		tid <- unix.Gettid()
		done <- c.awaitWritable(soon())
	}()
	thread := <-tid
	for range 20 {
		if err := unix.Tgkill(unix.Getpid(), thread, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	if err := unix.Close(peer); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
