package auditlog

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a socket to a log service. Connecting and each write have a time
// limit. The package net is not used: it would link a resolver and a poller into the
// privileged program for a few datagrams.
type socket struct{ fd int }

// dialLocal connects to a datagram socket of this host.
func dialLocal(path string) (io.WriteCloser, error) {
	return dial(unix.AF_UNIX, unix.SOCK_DGRAM, &unix.SockaddrUnix{Name: path}, path)
}

// dialRemote connects to a numeric address; network is udp or tcp.
func dialRemote(network, address string) (io.WriteCloser, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("cannot use the address of the log server: %w", err)
	}
	kind := unix.SOCK_DGRAM
	if network == "tcp" {
		kind = unix.SOCK_STREAM
	}
	if ip := to.Addr().Unmap(); ip.Is4() {
		return dial(unix.AF_INET, kind, &unix.SockaddrInet4{Port: int(to.Port()), Addr: ip.As4()}, address)
	}
	zone, err := zoneID(to.Addr().Zone())
	if err != nil {
		return nil, fmt.Errorf("cannot use the address of the log server: %w", err)
	}
	return dial(unix.AF_INET6, kind, &unix.SockaddrInet6{Port: int(to.Port()), ZoneId: zone, Addr: to.Addr().As16()}, address)
}

// zoneID is the index of the interface of a link-local address, 0 for none
// (ipv6(7), netdevice(7)).
func zoneID(zone string) (uint32, error) {
	if n, err := strconv.ParseUint(zone, 10, 32); zone == "" || err == nil {
		return uint32(n), nil
	}
	request, err := unix.NewIfreq(zone)
	if err != nil {
		return 0, fmt.Errorf("interface %q: %w", zone, err)
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, fmt.Errorf("interface %q: %w", zone, err)
	}
	return request.Uint32(), nil
}

func dial(domain, kind int, to unix.Sockaddr, name string) (io.WriteCloser, error) {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", name, err)
	}
	c := socket{fd}
	if err := c.connect(to, time.Now().Add(sendTimeout)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot connect to %s: %w", name, err), c.Close())
	}
	return c, nil
}

func (c socket) connect(to unix.Sockaddr, deadline time.Time) error {
	err := unix.Connect(c.fd, to)
	if errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR) {
		return c.connected(deadline)
	}
	return err
}

// connected waits for the end of connecting (connect(2)).
func (c socket) connected(deadline time.Time) error {
	if err := c.awaitWritable(deadline); err != nil {
		return err
	}
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return err
}

// Write implements io.Writer. A server that closed the connection is an error, not a
// SIGPIPE.
func (c socket) Write(p []byte) (written int, err error) {
	deadline := time.Now().Add(sendTimeout)
	for written < len(p) {
		n, err := unix.SendmsgN(c.fd, p[written:], nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case err == nil:
			written += n
		case errors.Is(err, unix.EAGAIN):
			if err := c.awaitWritable(deadline); err != nil {
				return written, err
			}
		case !errors.Is(err, unix.EINTR):
			return written, err
		}
	}
	return written, nil
}

// awaitWritable waits until the socket takes data, or has an error to report.
func (c socket) awaitWritable(deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return fmt.Errorf("the log server did not answer within %s: %w", sendTimeout, os.ErrDeadlineExceeded)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLOUT}}, int(left.Milliseconds())+1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Close implements io.Closer.
func (c socket) Close() error { return unix.Close(c.fd) }
