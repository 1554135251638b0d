package proctree

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/procfs"
)

// EndMarked kills the processes of this account that were started with a pair NAME=VALUE in
// their environment (proc_pid_environ(5)), and those that they start meanwhile. It spares
// those below another process of this program, which ends them itself. It returns those that
// have not ended by the deadline. A process whose environment was replaced is not found.
func EndMarked(pair string, deadline time.Time) []Process {
	for {
		stopMarked(pair, deadline)
		left := marked(pair)
		for _, p := range left {
			_ = p.Signal(unix.SIGKILL)
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(endPause)
	}
}

// stopMarked stops them, and looks again until none is new: those that start others without
// pause would do so faster than they are killed, one after the other.
func stopMarked(pair string, deadline time.Time) {
	stopped, late := map[Process]bool{}, time.Now().Add(stopLimit)
	for some := true; some && time.Now().Before(late) && time.Now().Before(deadline); {
		some = false
		for _, p := range marked(pair) {
			if !stopped[p] {
				stopped[p], some = true, true
				_ = p.Signal(unix.SIGSTOP)
			}
		}
	}
}

// endPause is the time that killed processes have before they are looked for again.
const endPause = 5 * time.Millisecond

// marked lists the processes that run and have the pair, without those of a live process of
// this program. The environment of one that has ended is empty.
func marked(pair string) (orphans []Process) {
	found, parents := map[int]Process{}, map[int]int{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		environ, _ := procfs.ReadMost("/proc/"+entry.Name()+"/environ", procfs.MaxEnviron) // nothing of another account's
		if !bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+pair+"\x00")) {
			continue
		}
		pid, _ := strconv.Atoi(entry.Name()) // 0, which no process has, for a link to one
		if stat, ok := readStat(pid); ok {
			found[pid], parents[pid] = Process{pid, stat.start, Boot()}, stat.parent
		}
	}
	program := Look(os.Getpid()).Name
	for pid, p := range found {
		above := parents[pid]
		for range found { // a pid may be another process's meanwhile: not without end
			if _, marked := found[above]; !marked {
				break
			}
			above = parents[above]
		}
		if Look(above).Name != program {
			orphans = append(orphans, p)
		}
	}
	return orphans
}
