package proctree

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"jacamar-ci/internal/procfs"
)

// Sight is what /proc shows of a process.
type Sight struct {
	PID int
	// Name is the command's name, as in proc_pid_comm(5); "" where /proc hides it.
	Name string
	// State is field 3 of proc_pid_stat(5), of a thread that waits in the kernel where
	// there is one.
	State byte
	// UID is the effective user id, -1 where it is not known.
	UID int
}

// Look looks at a process.
func Look(pid int) Sight {
	s := Sight{PID: pid, UID: -1}
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := procfs.Read(dir + "/stat")
	if err != nil {
		return s
	}
	s.Name, s.State = nameAndState(stat)
	s.State = worst(s.State, threadStates(dir+"/task"))
	status, _ := procfs.Read(dir + "/status")
	if uids := strings.Fields(line(status, "Uid:")); len(uids) > 1 {
		if uid, err := strconv.Atoi(uids[1]); err == nil {
			s.UID = uid
		}
	}
	return s
}

func threadStates(dir string) (states []byte) {
	threads, _ := os.ReadDir(dir)
	for _, thread := range threads {
		stat, _ := procfs.Read(dir + "/" + thread.Name() + "/stat")
		_, state := nameAndState(stat)
		states = append(states, state)
	}
	return states
}

// worst returns the state of a process by its own and those of its threads.
func worst(own byte, threads []byte) byte {
	if bytes.IndexByte(threads, 'D') >= 0 {
		return 'D'
	}
	return own
}

// Waits reports whether a thread is in an uninterruptible wait.
func (s Sight) Waits() bool { return s.State == 'D' }

// String names the process for an operator.
func (s Sight) String() string {
	if s.Name == "" {
		return fmt.Sprintf("pid %d, which /proc hides", s.PID)
	}
	text := fmt.Sprintf("%s (pid %d, state %c", s.Name, s.PID, s.State)
	if s.UID >= 0 {
		text += fmt.Sprintf(", uid %d", s.UID)
	}
	return text + ")"
}

// nameAndState reads fields 2 and 3 of proc_pid_stat(5).
func nameAndState(stat []byte) (name string, state byte) {
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from || len(stat) < to+3 {
		return "", '?'
	}
	return string(stat[from+1 : to]), stat[to+2]
}

// line returns what is after the word at the beginning of a line.
func line(text []byte, word string) string {
	for l := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(l, word); ok {
			return rest
		}
	}
	return ""
}

// Tasks counts the processes and threads whose real user id is uid, which is what
// RLIMIT_NPROC counts (getrlimit(2)), as far as /proc shows them. It is 0 where it
// shows none.
func Tasks(uid uint32) (n int) {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		status, _ := procfs.Read("/proc/" + entry.Name() + "/status")
		uids := strings.Fields(line(status, "Uid:"))
		if len(uids) == 0 || uids[0] != strconv.FormatUint(uint64(uid), 10) {
			continue
		}
		threads, _ := strconv.Atoi(strings.TrimSpace(line(status, "Threads:")))
		n += threads
	}
	return n
}

// AllTasks is how many processes and threads the host has, of all users
// (proc_loadavg(5)). It returns false where /proc does not show it.
func AllTasks() (n int, ok bool) {
	text, _ := procfs.Read("/proc/loadavg")
	fields := strings.Fields(string(text))
	if len(fields) < 4 {
		return 0, false
	}
	_, all, _ := strings.Cut(fields[3], "/")
	n, err := strconv.Atoi(all)
	return n, err == nil
}
