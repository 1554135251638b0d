package monitor

import (
	"errors"
	"os"
	"time"

	"jacamar-ci/internal/proctree"

	"golang.org/x/sys/unix"
)

const (
	sweepRounds = 100
	sweepPause  = 20 * time.Millisecond
)

// sweep ends what outlived jacamar, which only happens when jacamar was killed:
// its descendants are then this process's children.
func (m *Monitor) sweep() {
	for range sweepRounds {
		if none() {
			return
		}
		m.kill(proctree.Descendants(os.Getpid()))
		time.Sleep(sweepPause)
	}
}

// none reaps what has ended and tells whether no child is left.
func none() bool {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
		case err == unix.ECHILD:
			return true
		case pid == 0 || err != nil:
			return false
		}
	}
}

// kill kills descendants, those that only their own account may signal through
// that account.
func (m *Monitor) kill(pids []int) {
	var denied []proctree.Process
	for _, pid := range pids {
		p, ok := proctree.Find(pid)
		if ok && errors.Is(proctree.SignalDescendant(pid, unix.SIGKILL), unix.EPERM) {
			denied = append(denied, p)
		}
	}
	if len(denied) > 0 && m.Reap != nil {
		_ = m.Reap(denied)
	}
}
