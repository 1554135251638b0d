package workspace

import "time"

// AwaitStage waits at most limit until no stage of the job runs any more, and reports
// whether that is so. Where the job has no build directory, none runs.
func (w *Workspace) AwaitStage(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		if !w.stageRuns() {
			return true
		}
		if time.Now().Add(pause).After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
}

func (w *Workspace) stageRuns() bool {
	scripts, err := w.base.Open(w.scriptsName()...)
	if err != nil {
		return false
	}
	defer scripts.Close()
	rec, err := readJobRecord(scripts)
	if err != nil || rec.Static {
		return false
	}
	root, err := w.rootOf(rec)
	if err != nil {
		return false
	}
	defer root.Close()
	p, err := w.lockPoolOf(rec, root)
	if err != nil {
		return false
	}
	defer p.close() //nolint:errcheck // nothing was written
	return p.stageRunning(rec.Slot)
}
