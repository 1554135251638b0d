// Package freeports finds ports of the loopback for programs that bind them themselves, at once
// or after a restart. The kernel gives none of them to another socket meanwhile: they are
// not in the range from which it takes the ports of connections, and of listeners that name
// none (ip_local_port_range in ip(7)).
package freeports

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
)

// tries bounds how many ports are tried.
const tries = 1000

// Find returns n ports that no socket has.
func Find(n int) ([]int, error) {
	low, high, err := kernels()
	if err != nil {
		return nil, err
	}
	free := map[int]bool{}
	for range tries {
		if p := 10_000 + rand.IntN(50_000); (p < low || p > high) && usable(p) {
			free[p] = true
		}
		if len(free) >= n {
			return slices.Collect(maps.Keys(free)), nil
		}
	}
	return nil, errors.New("there are no free ports")
}

// Address returns 127.0.0.1 with a port that no socket has.
func Address() (string, error) {
	free, err := Find(1)
	if err != nil {
		return "", err
	}
	return address(free[0]), nil
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// kernels is the range of ports that the kernel gives.
func kernels() (low, high int, err error) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return 0, 0, err
	}
	_, err = fmt.Sscan(string(text), &low, &high)
	return low, high, err
}

// usable reports whether both a TCP and a UDP socket can have a port.
func usable(port int) bool {
	l, err := net.Listen("tcp", address(port))
	if err != nil {
		return false
	}
	defer l.Close()
	c, err := net.ListenPacket("udp", address(port))
	if err != nil {
		return false
	}
	return c.Close() == nil
}
