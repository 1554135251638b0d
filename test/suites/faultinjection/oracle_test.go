package faultinjection

import (
	"fmt"
	"os"
	"strings"

	"jacamar-ci/test/harness/fakerunner"
)

// inject runs a job with the fault and a job after it, and reports whether the
// fault has happened and what was wrong.
func (r *harness) inject(p point, code int) (hit bool, wrong []string) {
	e, log, err := r.traced(p.program, p.stage, code, "-e", "trace="+p.call, "-e", p.inject())
	if err != nil {
		return false, []string{err.Error()}
	}
	hit = injected(log, p)
	outside := startPipe(log) || beforeMain(e.result)
	_ = os.Remove(log)
	if outside {
		return false, r.reset()
	}
	wrong = append(r.judge(p, e, code), r.left(e)...)
	wrong = append(wrong, r.records()...)
	wrong = append(wrong, r.next(p, e, code)...)
	if len(wrong) > 0 {
		wrong = append(wrong, e.result.Trace)
	}
	return hit, append(wrong, r.reset()...)
}

// next runs the job after a job that failed, or whose cleanup had the fault. A job that
// succeeded has shown by its later stages that later calls work.
func (r *harness) next(p point, e ended, code int) []string {
	if ran(e, code) && p.stage != "cleanup" {
		return nil
	}
	next := r.run(code, nil)
	if ran(next, code) && len(next.recorded) == 1 && next.recorded[0] == r.truth {
		return nil
	}
	return []string{fmt.Sprintf("the next job ended as %s, and recorded %q", next.result.Outcome, next.recorded)}
}

// ran reports whether the job's result is that of its script.
func ran(e ended, code int) bool {
	if code == 0 {
		return e.result.Outcome == fakerunner.Success
	}
	return e.result.Outcome == fakerunner.ScriptFailure && e.result.ExitCode == code
}

// judge compares the end of a job with what its script did. Before the script the
// runner tries again, and after it nothing changes the result any more: there a fault
// must have no effect on it.
func (r *harness) judge(p point, e ended, code int) (wrong []string) {
	honest := ran(e, code) && len(e.recorded) == 1
	for _, record := range e.recorded {
		// A script that was ended may have recorded only the first part.
		if record != r.truth && (honest || !strings.HasPrefix(r.truth, record)) {
			wrong = append(wrong, fmt.Sprintf("the script ran as %q, not as %q", record, r.truth))
		}
	}
	if len(e.recorded) > 1 {
		wrong = append(wrong, fmt.Sprintf("the script ran %d times", len(e.recorded)))
	}
	switch {
	case p.program == jacamar && p.fault == kill && ran(e, 128+9) && len(e.recorded) == 0:
		// Only a running jacamar reports an end: its child was killed before it became the
		// shell.
	case !honest && e.result.Outcome != fakerunner.SystemFailure:
		wrong = append(wrong, fmt.Sprintf("the job ended as %s with code %d, and its script with %d, which ran %d times", e.result.Outcome, e.result.ExitCode, code, len(e.recorded)))
	case !honest && p.stage != "build_script":
		wrong = append(wrong, fmt.Sprintf("the job ended as %s", e.result.Outcome))
	case honest && !strings.Contains(e.result.Trace, "the last words"):
		wrong = append(wrong, "the job's log has not what the script printed")
	}
	if c, _ := e.result.Call("cleanup"); c.Err != nil && p.stage != "cleanup" {
		wrong = append(wrong, fmt.Sprintf("the cleanup failed: %s", c.Stderr))
	}
	return append(wrong, shown(e)...)
}
