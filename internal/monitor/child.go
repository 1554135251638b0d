package monitor

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Child is a started jacamar.
type Child struct {
	PID int
	// Socket is connected to its standard input.
	Socket *os.File
}

// Start makes the handoff's socket and lets fork start jacamar, or what becomes
// jacamar, with the other end of it as standard input.
func Start(fork func(socket *os.File) (pid int, err error)) (*Child, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot make the handoff socket: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "handoff"), os.NewFile(uintptr(pair[1]), "jacamar")
	defer theirs.Close()
	pid, err := fork(theirs)
	if err != nil {
		ours.Close()
		return nil, err
	}
	return &Child{PID: pid, Socket: ours}, nil
}

// Cut ends this process's side of the conversation: jacamar reads it as the loss
// of its parent and ends the job at once. Its result can still be read.
func (c *Child) Cut() { _ = unix.Shutdown(int(c.Socket.Fd()), unix.SHUT_WR) }

// Close ends both sides, also for a reader of this process who is still waiting;
// what has arrived can be read.
func (c *Child) Close() { _ = unix.Shutdown(int(c.Socket.Fd()), unix.SHUT_RDWR) }
