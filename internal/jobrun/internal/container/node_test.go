package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"jacamar-ci/internal/failure"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
	"jacamar-ci/internal/jobrun/internal/scheduler"
)

// plain is an engine that runs the entrypoint on the host.
type plain struct{}

func (plain) Name() string                                     { return "plain" }
func (plain) Formats() []Format                                { return []Format{Directory} }
func (plain) Local() []Format                                  { return nil }
func (plain) Programs(Format) []string                         { return []string{"env"} }
func (plain) Grammar() scheduler.Grammar                       { return nil }
func (plain) Version(Session) Command                          { return Command{} }
func (plain) Fetch(Fetch) []Command                            { return nil }
func (plain) Describe(Session, Place, image.Reference) Command { return Command{} }
func (plain) Parse(Reply) (d Described, err error)             { return d, nil }
func (plain) Helpers() []string                                { return nil }
func (plain) Fault(int) failure.Kind                           { return failure.System }
func (plain) Run(s Start) Command {
	return Command{Argv: append([]string{"env"}, s.Inner...), Env: []string{"OF_ENGINE=it's $HOME"}}
}

func nodeOf(t *testing.T, dir string) Node {
	t.Helper()
	path := func(s string) job.AbsPath {
		p, err := job.ParseAbsPath(s)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	return Node{
		Engine: plain{}, Settled: Settled{Engine: "plain", Place: Place{Form: Directory, Path: path(dir + "/an image")}, Shell: "sh"},
		Session: Session{State: path(dir + "/it's state")}, User: "user", Dirs: []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"}, WorkDir: "/",
		PassEnv: []string{"SLURM_*", "ONE"}, Wires: Files(dir, "script", "marks"),
	}
}

// The script of a job runs by the text alone, with the exit code in the marks, and nothing
// of the node's environment but what is passed.
func TestNode(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"script": "env >" + dir + "/env\nexit 7\n", "marks": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := nodeOf(t, dir)
	if err := os.Mkdir(n.Session.State.String(), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/bash", "-c", n.Text())
	cmd.Env = []string{"SLURM_JOB_ID=4", "ONE=1", "ONES=2", "LD_LIBRARY_PATH=/nowhere", "HOME=/home/u", "BASH_FUNC_module%%=() { echo; }"}
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 7 {
		t.Skipf("this host makes no user namespace: %v: %s", err, out)
	}
	marks, _ := os.ReadFile(filepath.Join(dir, "marks"))
	if string(marks) != "cse7\n" {
		t.Errorf("marks %q", marks)
	}
	env, _ := os.ReadFile(filepath.Join(dir, "env"))
	for _, want := range []string{"SLURM_JOB_ID=4", "ONE=1", "OF_ENGINE=it's $HOME", "USER=user", "HOME=" + n.Session.State.String()} {
		if !strings.Contains("\n"+string(env), "\n"+want+"\n") {
			t.Errorf("no %q in %s", want, env)
		}
	}
	for _, other := range []string{"ONES", "LD_LIBRARY_PATH", "module"} {
		if strings.Contains(string(env), other) {
			t.Errorf("%q is in %s", other, env)
		}
	}
	if link, err := os.Readlink(n.Session.State.String() + "/" + Image); err != nil || link != dir+"/an image" {
		t.Errorf("%q, %v", link, err)
	}
}

func TestNodeOutcome(t *testing.T) {
	n := nodeOf(t, "/d")
	for marks, want := range map[string]string{"cse0": "", "cse7": "exit", "": "without starting", "c": "no shell"} {
		err := n.Outcome(marks, 0)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", marks, err)
		}
	}
	for _, dash := range []bool{false, true} {
		n.Settled.Dash = dash
		if _, hint := failure.ForUser(n.Outcome("cse2", 0), true, ""); strings.Contains(hint, "dash") != dash {
			t.Errorf("dash %v: hint %q", dash, hint)
		}
	}
}
