package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"jacamar-ci/internal/cell"
	"jacamar-ci/internal/image"
	"jacamar-ci/internal/job"
)

// supervised runs a script with services of the host's programs and returns its exit
// code, and what both printed. In the script, @DIR@ is the state.
func supervised(t *testing.T, s *Services, script string) (int, string) {
	t.Helper()
	for _, program := range s.Programs() {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed", program)
		}
	}
	dir, err := os.MkdirTemp("", "services-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	state, err := job.ParseAbsPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	session := Session{State: state}
	if err := os.WriteFile(filepath.Join(dir, ServicesFile), []byte(s.Supervisor(plain{}, session)), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	cmd := command(t, s.Wrap(Command{Argv: []string{"sh", "-c", strings.ReplaceAll(script, "@DIR@", dir)}, Env: []string{"EXPORTED=1"}}, dir))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	cmd.ExtraFiles = []*os.File{r, w}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || strings.HasPrefix(string(out), "unshare: ") {
		t.Skipf("user namespaces cannot be made here: %v: %s", err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func serviceOf(label, script string, ports ...uint16) Service {
	place, _ := job.ParseAbsPath("/")
	return Service{Label: label, Place: Place{Form: Directory, Path: place}, Aliases: []string{label, label + "-other"}, Argv: []string{"sh", "-c", script}, Ports: ports}
}

func TestSupervisor(t *testing.T) {
	code, out := 0, "printed nothing"
	wait := time.Second
	for ; (strings.Contains(out, "printed nothing") || !strings.Contains(out, "ended ended")) && wait < time.Minute; wait *= 2 { // the machine may be busy
		code, out = supervised(t, &Services{Private: true, Wait: wait, List: []Service{
			serviceOf("deaf", "trap '' TERM; echo its log; exec sleep 300", 4711),
			serviceOf("ended", "echo its end; exit 3", 4712, 4713),
			serviceOf("portless", "exec sleep 300"),
		}}, "grep -c '127.0.0.1 .*-other' /etc/hosts; exit 7")
	}
	if code != 7 {
		t.Errorf("exit code %d", code)
	}
	for _, text := range []string{
		"the service deaf probably did not start: it did not listen on the port 4711 within " + (wait / 2).String() + "; the end of its log:", "\n    its log\n",
		"the service ended ended with the exit code 3; the end of its log:", "\n    its end\n", "\n3\n",
	} {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in:\n%s", text, out)
		}
	}
	if strings.Contains(out, "portless") || strings.Count(out, "WARNING") != 2 {
		t.Errorf("other warnings in:\n%s", out)
	}
}

// What a service prints is shown on request, all of it, also without a last newline.
func TestSupervisorShowsLogs(t *testing.T) {
	code, out := supervised(t, &Services{Private: true, Debug: true, List: []Service{
		serviceOf("one", `printf 'a\nb'; : >"$TMPDIR/done"; exec sleep 300`),
		serviceOf("two", "exit 5"),
	}}, `while [ ! -e @DIR@/s0/done ] || [ ! -e @DIR@/s1/code ]; do sleep 0.1; done`)
	if code != 0 || !strings.Contains(out, "[service:one] a\n") || !strings.Contains(out, "[service:one] b\n") || !strings.Contains(out, "the service two ended with the exit code 5") {
		t.Errorf("%d: %s", code, out)
	}
}

// A service has its own variables and directory, and neither the environment of the
// script's engine nor its descriptors.
func TestServiceEnvironment(t *testing.T) {
	one := serviceOf("one", `env; ls -l /proc/self/fd >"$TMPDIR/fds"; grep ' [34] -> pipe:' "$TMPDIR/fds" && echo a pipe; echo end`)
	s := &Services{Private: true, Debug: true, List: []Service{one}}
	_, out := supervised(t, s, `while [ ! -e @DIR@/s0/code ]; do sleep 0.1; done`)
	dir := filepath.Join(os.TempDir(), "services-")
	for _, text := range []string{"OF_ENGINE=it's $HOME", "HOME=" + dir, "TMPDIR=" + dir, "end"} {
		if !strings.Contains(out, "[service:one] "+text) {
			t.Errorf("no %q in:\n%s", text, out)
		}
	}
	if strings.Contains(out, "EXPORTED") || strings.Contains(out, "a pipe") {
		t.Errorf("the script's are there:\n%s", out)
	}
}

func TestServicePorts(t *testing.T) {
	c := image.Config{Ports: []uint16{80, 443}, Env: []string{"A=b"}}
	for _, tt := range []struct {
		inImage, env string
		want         []uint16
	}{
		{"A=b", "B=c", []uint16{80, 443}},
		{"HEALTHCHECK_TCP_PORT=1", "B=c", []uint16{1}},
		{"HEALTHCHECK_TCP_PORT=1", "healthcheck_tcp_port=2", []uint16{2}},
		{"A=b", "HEALTHCHECK_TCP_PORT=0", nil},
		{"A=b", "HEALTHCHECK_TCP_PORT=65536", nil},
		{"A=b", "HEALTHCHECK_TCP_PORT=", nil},
	} {
		c.Env = []string{tt.inImage}
		got, err := ServicePorts(c, []string{tt.env})
		if !slices.Equal(got, tt.want) || (err != nil) != (tt.want == nil) {
			t.Errorf("%s, %s: %v, %v", tt.inImage, tt.env, got, err)
		}
	}
}

func TestServiceEnv(t *testing.T) {
	env, refused := ServiceEnv([]string{"A=b", "PATH=/x", "PATHS=/x", "LD_PRELOAD=x", "PGDATA=/x", "HOME=/x", "CONTAINER_HOST=x"})
	if !slices.Equal(env, []string{"A=b", "PATHS=/x", "PGDATA=/x"}) || !slices.Equal(refused, []string{"PATH", "LD_PRELOAD", "HOME", "CONTAINER_HOST"}) {
		t.Errorf("%q, %q", env, refused)
	}
}

func TestCheckPorts(t *testing.T) {
	s := Services{List: []Service{serviceOf("a", "", 1, 2), serviceOf("b", "", 3), serviceOf("c", "")}}
	if err := s.CheckPorts(); err != nil {
		t.Error(err)
	}
	s.List[2].Ports = []uint16{2}
	if err := s.CheckPorts(); err == nil || !strings.Contains(err.Error(), "a and c listen on the port 2") {
		t.Error(err)
	}
}

// A job without services has a cell as before.
func TestWithoutServices(t *testing.T) {
	var s *Services
	c := Command{Argv: []string{"x"}}
	if got := s.Wrap(c, "/s"); !slices.Equal(got.Argv, Cell{}.Wrap(c).Argv) || s.Bind() != nil || s.Programs() != nil {
		t.Errorf("%q", got.Argv)
	}
}

// TestCellOfServices: only services that are the job's alone have a network of their own.
func TestCellOfServices(t *testing.T) {
	for want, all := range map[Cell][]*Services{{}: {nil, {}}, {cell.Cell{Network: true}}: {{Private: true}}} {
		for _, s := range all {
			if got := s.cell(); got != want {
				t.Errorf("%+v: %+v", s, got)
			}
		}
	}
}

// recorder is an engine that keeps the last start.
type recorder struct {
	plain
	last *Start
}

func (r recorder) Run(s Start) Command { *r.last = s; return r.plain.Run(s) }

// TestServiceWorkDir: a service starts in the directory of its image, or in "/".
func TestServiceWorkDir(t *testing.T) {
	state, err := job.ParseAbsPath("/state")
	if err != nil {
		t.Fatal(err)
	}
	for own, want := range map[string]string{"": "/", "/srv": "/srv"} {
		s, r := serviceOf("one", "true"), recorder{last: new(Start)}
		s.Config.WorkingDir = own
		s.run(r, Session{State: state}, "0")
		if r.last.WorkDir != want || r.last.Session.State.String() != "/state/s0" {
			t.Errorf("%q: %q, %s", own, r.last.WorkDir, r.last.Session.State)
		}
	}
}
