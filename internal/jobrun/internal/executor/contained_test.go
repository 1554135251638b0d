package executor

import (
	"testing"

	"jacamar-ci/internal/image"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
)

// Which scripts run in a container: those of the job's author where it has an image, and
// those of the runner where the site has one for them.
func TestInContainer(t *testing.T) {
	one := &image.Request{}
	only := settings.Engine{StepScriptOnly: true}
	for name, tt := range map[string]struct {
		c    *ipc.Container
		want map[job.SubStage]bool
	}{
		"no mechanism": {nil, nil},
		"nothing":      {&ipc.Container{}, nil},
		"job":          {&ipc.Container{Image: one}, map[job.SubStage]bool{"build_script": true, "step_release": true, "after_script": true}},
		"script alone": {&ipc.Container{Image: one, Engine: only}, map[job.SubStage]bool{"build_script": true, "step_release": true}},
		"runner":       {&ipc.Container{Runner: one}, map[job.SubStage]bool{"prepare_script": true, "get_sources": true, "archive_cache": true}},
		"both": {&ipc.Container{Image: one, Runner: one}, map[job.SubStage]bool{
			"prepare_script": true, "get_sources": true, "archive_cache": true, "build_script": true, "step_release": true, "after_script": true,
		}},
	} {
		for _, s := range []job.SubStage{"prepare_script", "get_sources", "archive_cache", "build_script", "step_release", "after_script"} {
			r := ipc.Request{Stage: job.Run, SubStage: s}
			r.Settings.Container = tt.c
			if got := InContainer(r); got != tt.want[s] {
				t.Errorf("%s, %s: %v", name, s, got)
			}
		}
	}
}
