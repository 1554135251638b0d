package workspace

import (
	"os"
	"strconv"

	"jacamar-ci/internal/proctree"
)

// place is where a process runs, as far as its number means anything: another
// machine or another container has other processes by the same numbers.
type place struct {
	Host string `json:"host"`
	// Machine tells two machines of one name apart, by a sum over machine-id(5);
	// "" where there is none.
	Machine string `json:"machine,omitempty"`
	// PIDs is the namespace that process numbers belong to (pid_namespaces(7)).
	PIDs string `json:"pids"`
}

func thisPlace() place {
	host, _ := os.Hostname()
	pids, _ := os.Readlink("/proc/self/ns/pid")
	return place{Host: host, Machine: machine(), PIDs: pids}
}

// machine is a sum (FNV-1a), as machine-id(5) asks not to show the id itself.
func machine() string {
	id, err := os.ReadFile("/etc/machine-id")
	if err != nil || len(id) == 0 {
		return ""
	}
	sum := uint64(14695981039346656037)
	for _, b := range id {
		sum = (sum ^ uint64(b)) * 1099511628211
	}
	return strconv.FormatUint(sum, 16)
}

func thisProcess() proctree.Process {
	p, _ := proctree.Find(os.Getpid())
	return p
}

// gone reports whether the process certainly runs no longer. One of another place
// may; so may one of another boot, unless the machine is known to be the same.
func (here place) gone(at place, p proctree.Process) bool {
	if at != here || p.PID == 0 {
		return false
	}
	if p.Boot != proctree.Boot() && here.Machine == "" {
		return false
	}
	return p.Gone()
}
