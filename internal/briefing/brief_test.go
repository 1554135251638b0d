package briefing

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"jacamar-ci/internal/config"
	"jacamar-ci/internal/customexec"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/proctree"
)

// source is one of which every part is set.
func source(t *testing.T) Source {
	t.Helper()
	name, err := job.ParseUsername("alice")
	if err != nil {
		t.Fatal(err)
	}
	site := site(t)
	site.General.Executor = config.Slurm
	site.Batch.Rules = []config.Rule{{Args: []string{"-p", "ci"}}}
	return Source{
		Stage: job.Run, SubStage: "build_script", Site: site, Account: job.Account{Name: name, UID: 1},
		Facts: customexec.Response{ID: 1, ProjectID: 2, Project: "g/p", Timeout: 3, Helper: true, StepRunner: true, Image: true, Services: true},
		Env:   environ(t, "CUSTOM_ENV_CI_RUNNER_SHORT_TOKEN=t0ken", "CUSTOM_ENV_RUNNER_TEMP_PROJECT_DIR=/b/g/p.tmp", "CUSTOM_ENV_PATH=/bin"),
		Dirs:  ipc.Dirs{Builds: path(t, "/b")}, Owner: proctree.Process{PID: 7, Start: 8, Boot: "b"},
		Matches: func(config.Rule) (bool, error) { return true, nil },
	}
}

func TestBriefHasWhatItsSourceHas(t *testing.T) {
	s := source(t)
	got, err := s.Brief()
	if err != nil {
		t.Fatal(err)
	}
	want := ipc.Job{
		ID: 1, Runner: "t0ken", Project: "g/p", ProjectID: 2, Timeout: 3, Owner: s.Owner,
		Temp: path(t, "/b/g/p.tmp"), Helper: true, StepRunner: true, Image: true, Services: true, Path: []byte("/bin"),
	}
	if !reflect.DeepEqual(got.Job, want) {
		t.Errorf("job %+v\nwant %+v", got.Job, want)
	}
	if got.Stage != s.Stage || got.SubStage != "build_script" || got.Account.Name != s.Account.Name || got.Dirs != s.Dirs {
		t.Errorf("brief %+v", got)
	}
	if got.Settings.Executor != "slurm" || got.Settings.Batch == nil || len(got.Settings.Batch.Rules) != 1 {
		t.Errorf("settings %+v", got.Settings)
	}
}

// TestNoFactOfTheJobIsLeftOut fails for a new member of ipc.Job that Brief does
// not fill.
func TestNoFactOfTheJobIsLeftOut(t *testing.T) {
	b, err := source(t).Brief()
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.ValueOf(b.Job)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not set", v.Type().Field(i).Name)
		}
	}
}

func TestBriefRefuses(t *testing.T) {
	s := source(t)
	s.SubStage = "../x"
	if _, err := s.Brief(); err == nil || !strings.Contains(err.Error(), "cannot run the script: ") {
		t.Errorf("error %v", err)
	}
	s.Stage = job.Prepare
	if b, err := s.Brief(); err != nil || b.SubStage != "" {
		t.Errorf("prepare has the sub-stage %q, %v", b.SubStage, err)
	}
	wrong := errors.New("no such project")
	s.Matches = func(config.Rule) (bool, error) { return false, wrong }
	if _, err := s.Brief(); !errors.Is(err, wrong) {
		t.Errorf("error %v, want that of the rule", err)
	}
}
