package process

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/proctree"
)

// sweepRound is how long Sweep waits for the last child before it looks again
// for descendants that came up meanwhile.
const sweepRound = 20 * time.Millisecond

// Sweep ends every descendant: TERM as soon as it is seen, KILL when grace is
// over or hurry is closed. It returns how many there were, and false when some
// are left one second after they were sent KILL.
func (f *Family) Sweep(grace time.Duration, hurry <-chan struct{}) (found int, ended bool) {
	told, end := map[int]bool{}, tell
	kill, giveUp := time.After(grace), (<-chan time.Time)(nil)
	for !f.Empty() {
		end(told)
		select {
		case <-f.alone:
		case <-time.After(sweepRound):
		case <-hurry:
			end, kill, hurry, giveUp = killAll, nil, nil, time.After(afterKill)
		case <-kill:
			end, kill, hurry, giveUp = killAll, nil, nil, time.After(afterKill)
		case <-giveUp:
			return len(told), false
		}
	}
	return len(told), true
}

// afterKill is how long a killed process may take to go: one in an
// uninterruptible wait (a hung file server) does not die.
const afterKill = time.Second

func killAll(told map[int]bool) {
	for _, pid := range proctree.Descendants(os.Getpid()) {
		told[pid] = true
		_ = proctree.SignalDescendant(pid, unix.SIGKILL)
	}
}

// tell sends TERM to every descendant that was not told yet. CONT lets a
// stopped one act on it.
func tell(told map[int]bool) {
	for _, pid := range proctree.Descendants(os.Getpid()) {
		if !told[pid] {
			told[pid] = true
			_ = proctree.SignalDescendant(pid, unix.SIGTERM)
			_ = proctree.SignalDescendant(pid, unix.SIGCONT)
		}
	}
}

// Empty tells whether this process has no children at all.
func (f *Family) Empty() bool {
	err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err == unix.ECHILD
}
