package workspace

import (
	"time"

	"jacamar-ci/internal/jobrun/internal/safedir"
)

// Measure measures the job's build directory for at most limit; ok is false where there
// is none, or for a limit of 0.
func (w *Workspace) Measure(limit time.Duration) (size safedir.Size, ok bool) {
	if limit <= 0 {
		return safedir.Size{}, false
	}
	until := time.Now().Add(limit)
	scripts, err := w.base.Open(w.scriptsName()...)
	if err != nil {
		return safedir.Size{}, false
	}
	defer scripts.Close()
	rec, err := readJobRecord(scripts)
	if err != nil {
		return safedir.Size{}, false
	}
	root, err := w.rootOf(rec)
	if err != nil {
		return safedir.Size{}, false
	}
	defer root.Close()
	builds, err := root.Open(rec.buildPath()...)
	if err != nil {
		return safedir.Size{}, false
	}
	defer builds.Close()
	return builds.Measure(until), true
}
