package process

import (
	"os"
	"time"

	"jacamar-ci/internal/proctree"
)

// Known is a set of processes that were there at some moment.
type Known map[proctree.Process]bool

// Snapshot returns the descendants that are there now, without those whose pids
// are given.
func (f *Reaper) Snapshot(without ...int) Known {
	known := Known{}
	for _, pid := range proctree.Descendants(os.Getpid()) {
		if p, ok := proctree.Find(pid); ok {
			known[p] = true
		}
	}
	for _, pid := range without {
		if p, ok := proctree.Find(pid); ok {
			delete(known, p)
		}
	}
	return known
}

// others counts the descendants that are neither known nor below a known one.
func (k Known) others() (n int) {
	for queue := proctree.Children(os.Getpid()); len(queue) > 0; queue = queue[1:] {
		p, ok := proctree.Find(queue[0])
		if ok && !k[p] {
			n++
			queue = append(queue, proctree.Children(queue[0])...)
		}
	}
	return n
}

// Await waits at most for limit until only known processes, and what these have
// started, are left. It returns how many others there still are. A process that
// is not known is below a child of this one that is not known either, so there is
// an event for every change.
func (f *Reaper) Await(limit time.Duration, hurry <-chan struct{}, known Known) (others int) {
	for late := time.After(limit); !f.Empty(); {
		if others = known.others(); others == 0 {
			return 0
		}
		select {
		case <-f.collected:
		case <-hurry:
			return others
		case <-late:
			return others
		}
	}
	return 0
}
