package noauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"jacamar-ci/internal/driver"
	"jacamar-ci/internal/ipc"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/settings"
	"jacamar-ci/test/harness/standin"
	"jacamar-ci/test/harness/testutil"
)

// Whole stages run here in processes of their own, as the runner starts them: the test program
// stands in for the driver and for jacamar.

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "driver":
		runtime.GOMAXPROCS(1)
		os.Exit(Main(driver.Call{Stage: job.Stage(os.Args[1]), Configuration: os.Args[2], Script: os.Args[3], SubStage: os.Args[4]}))
	case "jacamar":
		os.Exit(standin.Jacamar(os.Args[0]))
	}
	os.Exit(m.Run())
}

// ownUID is an account that every machine has in /etc/passwd, and that is not root.
const ownUID = 1

// place is an installation for one job.
type place struct {
	t     *testing.T
	dir   string
	uid   uint32
	env   []string
	state string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can start a stage as another account")
	}
	dir, err := os.MkdirTemp("/srv", "jacamar-place-")
	testutil.Must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &place{t: t, dir: dir, uid: ownUID}
	testutil.Must(t, os.Chmod(dir, 0o755))
	p.jacamar().Prepare(t)
	p.program("jacamar")
	p.configure(`jacamar_path = "` + p.path("jacamar") + `"`)
	p.write("script", "echo hello\n")
	p.write("response", `{"id":7,"job_info":{"project_id":12},"git_info":{"repo_url":"https://gitlab.example.org/group/project.git"}}`)
	p.own("script")
	p.own("response")
	p.jacamar().Answer(t, job.Config, ipc.Result{Dirs: p.dirs()})
	return p
}

func (p *place) jacamar() standin.Dir { return standin.Dir(p.dir) }

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, text string) {
	p.t.Helper()
	testutil.Must(p.t, os.WriteFile(p.path(name), []byte(text), 0o644))
}

// own gives a file to the account, as the runner's files belong to it.
func (p *place) own(name string) {
	p.t.Helper()
	testutil.Must(p.t, os.Chown(p.path(name), int(p.uid), -1))
}

func (p *place) dirs() ipc.Dirs {
	abs := func(name string) job.AbsPath { return testutil.AbsPath(p.t, p.path(name)) }
	return ipc.Dirs{Base: abs("base"), Builds: abs("base/builds"), Cache: abs("base/cache"), Scripts: abs("base/scripts")}
}

// program copies the test program.
func (p *place) program(name string) {
	p.t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	testutil.Must(p.t, err)
	testutil.Must(p.t, testutil.WriteProgram(p.path(name), self, 0o755))
}

// configure writes the configuration, with more lines of [auth].
func (p *place) configure(auth string) {
	p.write("jacamar.toml", fmt.Sprintf("[general]\nexecutor = \"shell\"\ndata_dir = %q\ngitlab_server = \"https://gitlab.example.org\"\nkill_timeout = \"5s\"\n[auth]\ndownscope = \"setuid\"\n%s\n", p.path("data"), auth))
}

// run calls a stage. The state of a config stage is passed to the later ones.
func (p *place) run(stage job.Stage) (status int, output string) {
	p.t.Helper()
	p.jacamar().Forget(p.t, stage)
	configuration, script, sub := p.path("jacamar.toml"), "", ""
	switch stage {
	case job.Prepare:
		configuration = ""
	case job.Run:
		configuration, script, sub = "", p.path("script"), "step_script"
	}
	cmd := exec.Command(p.path("jacamar"))
	cmd.Args = []string{"driver", string(stage), configuration, script, sub}
	cmd.Env = append([]string{"JOB_RESPONSE_FILE=" + p.path("response"), "BUILD_FAILURE_EXIT_CODE=11", "SYSTEM_FAILURE_EXIT_CODE=12", "JACAMAR_CI_STATE=" + p.state}, p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: p.uid, Gid: p.uid}}
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		p.t.Fatal(err)
	}
	if status = cmd.ProcessState.ExitCode(); stage == job.Config && status == 0 {
		var answer struct {
			Env map[string]string `json:"job_env"`
		}
		testutil.Must(p.t, json.Unmarshal([]byte(out.String()), &answer))
		p.state = answer.Env["JACAMAR_CI_STATE"]
	}
	return status, out.String() + errs.String()
}

// TestWholeJob: each stage runs as the account of the runner and gets the directories of the
// config stage.
func TestWholeJob(t *testing.T) {
	p := newPlace(t)
	var was unix.Rlimit
	testutil.Must(t, unix.Getrlimit(unix.RLIMIT_CORE, &was))
	core := unix.Rlimit{Cur: min(4096, was.Max), Max: was.Max}
	testutil.Must(t, unix.Setrlimit(unix.RLIMIT_CORE, &core))
	t.Cleanup(func() { testutil.Must(t, unix.Setrlimit(unix.RLIMIT_CORE, &was)) })
	for _, stage := range []job.Stage{job.Config, job.Prepare, job.Run, job.Cleanup} {
		status, output := p.run(stage)
		s, ran := p.jacamar().Sent(t, stage)
		r := s.Request
		if status != 0 || !ran || s.UID != ownUID || r.Account.UID != ownUID || r.Settings.Downscope != settings.None || r.MayRun != (stage == job.Cleanup) ||
			(r.Dirs == ipc.Dirs{}) != (stage == job.Config) || (stage != job.Config) != (r.Dirs == p.dirs()) || (s.Script == "echo hello\n") != (stage == job.Run) || s.Core != core.Cur {
			t.Errorf("%s: status %d, %v, %+v: %s", stage, status, ran, s, output)
		}
		if stage != job.Config && output != "" {
			t.Errorf("%s prints %q", stage, output)
		}
	}
}

// TestNothingToCleanUp: without a state a cleanup starts no jacamar.
func TestNothingToCleanUp(t *testing.T) {
	p := newPlace(t)
	status, output := p.run(job.Cleanup)
	if _, ran := p.jacamar().Sent(t, job.Cleanup); status != 0 || ran {
		t.Errorf("status %d, jacamar has run: %v: %s", status, ran, output)
	}
}

// TestStageFails: the user reads in full what keeps a stage from running, and jacamar is not
// started.
func TestStageFails(t *testing.T) {
	for name, tt := range map[string]struct {
		stage  job.Stage
		change func(*place)
		want   string
	}{
		"root":                  {job.Config, func(p *place) { p.uid = 0 }, "--no-auth is not for root"},
		"a wrong environment":   {job.Config, func(p *place) { p.env = []string{"BUILD_EXIT_CODE_FILE=relative"} }, "cannot use the runner's BUILD_EXIT_CODE_FILE"},
		"a damaged state":       {job.Prepare, func(p *place) { p.state = "damaged" }, "cannot read the job's state"},
		"no configuration":      {job.Prepare, func(p *place) { p.state = "" }, "no --configuration"},
		"a wrong configuration": {job.Config, func(p *place) { p.write("jacamar.toml", "what") }, "not valid TOML"},
		"no response":           {job.Config, func(p *place) { os.Remove(p.path("response")) }, "cannot read the job response"},
		"no account":            {job.Config, func(p *place) { p.uid = 4_000_000; p.own("response") }, "cannot find the account of uid 4000000"},
		"no jacamar":            {job.Config, func(p *place) { p.configure(`jacamar_path = "/usr/nosuch/jacamar"`) }, "/usr/nosuch/jacamar is missing"},
		"a jacamar that is none": {job.Config, func(p *place) {
			p.configure(`jacamar_path = "` + p.path("text") + `"`)
			p.write("text", "\n")
			testutil.Must(p.t, os.Chmod(p.path("text"), 0o755))
		}, "cannot start " + "/srv"},
		"a rule for a project": {job.Config, func(p *place) {
			p.configure("[container]\n[[container.rule]]\nproject = \"a/b\"\n")
			p.replace("executor", "run_mechanism = \"podman\"\nexecutor")
			p.replace("[auth]\n", "[auth]\njacamar_path = \""+p.path("jacamar")+"\"\n")
		}, "which --no-auth cannot verify"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			tt.change(p)
			status, output := p.run(tt.stage)
			if _, ran := p.jacamar().Sent(t, tt.stage); status == 0 || ran || !strings.Contains(output, tt.want) {
				t.Errorf("status %d, jacamar has run: %v: %s", status, ran, output)
			}
		})
	}
}

// replace changes the configuration.
func (p *place) replace(before, after string) {
	text, err := os.ReadFile(p.path("jacamar.toml"))
	testutil.Must(p.t, err)
	p.write("jacamar.toml", strings.Replace(string(text), before, after, 1))
}

// TestFailedConfig: a config stage that fails has no answer. What jacamar could not remove is
// in the job's log.
func TestFailedConfig(t *testing.T) {
	p := newPlace(t)
	p.jacamar().Answer(t, job.Config, ipc.Result{Kind: "build", Reason: "the quota is exceeded", Left: []ipc.Leftover{{Path: "/x", Reason: "/x: busy"}}})
	status, output := p.run(job.Config)
	if status != 11 || !strings.Contains(output, "the quota is exceeded") || !strings.Contains(output, "left behind: /x: busy") || strings.Contains(output, "builds_dir") {
		t.Errorf("status %d: %s", status, output)
	}
}

// TestConfinedJacamar: what confines the job confines jacamar from its start.
func TestConfinedJacamar(t *testing.T) {
	p := newPlace(t)
	p.configure(`jacamar_path = "` + p.path("jacamar") + "\"\nno_new_privs = true")
	if status, output := p.run(job.Config); status != 0 {
		t.Fatal(output)
	}
	if s, _ := p.jacamar().Sent(t, job.Config); !s.Request.Start.NoNewPrivs || !s.NoNewPrivs {
		t.Errorf("%+v", s)
	}
}
