package ending

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jacamar-ci/test/harness/fakerunner"
	"jacamar-ci/test/harness/site"
)

// hang is a stage whose storage stops responding.
type hang struct {
	name  string
	stage string
	// home is that directory, below the account's home.
	home   string
	script string
	// stop sends SIGTERM to the stage, as the runner does.
	stop bool
	// after is how long the stage may run before it must be ended.
	after time.Duration
	// timeout is the script's, "" for none.
	timeout string
}

const base = ".jacamar-ci"

var hangs = []hang{
	{"config is stopped", "config", base, "true", true, 2 * time.Second, ""},
	{"prepare is stopped", "prepare", base, "true", true, 2 * time.Second, ""},
	{"cleanup is stopped", "cleanup", base, "true", true, 2 * time.Second, ""},
	{"a script is stopped", "build_script", base, "sleep 1000", true, 2 * time.Second, ""},
	// jacamar checks for other jobs of the directory for 5 s, and then cannot end.
	{"a script succeeds", "build_script", base, "true", false, 5 * time.Second, ""},
	// The runner ends the stage, as no event reports that jacamar was killed.
	{"a script kills its jacamar", "build_script", base, "kill -9 $PPID; sleep 1000", false, 8 * time.Second, "8s"},
	{"a script leaves a process", "build_script", "hang", "(stat ~/hang/x &) >/dev/null 2>&1; sleep 0.5", false, 5 * time.Second, ""},
}

// TestStorageThatHangs: each stage uses a file system of the user that does not respond,
// so that a process of the job cannot be ended. The stage still ends, as a failure of the
// resource that names the process.
func TestStorageThatHangs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it mounts a file system")
	}
	program := compiled(t, "hangfs")
	var all sync.WaitGroup // not t.Parallel, which runs only two at once here: they all wait
	var sites []*site.Site
	for _, d := range site.Deployments() {
		s := d.Open(t, quick)
		logged(t, s, quick)
		sites = append(sites, s)
		for _, h := range hangs {
			h.name = d.Name + ", " + h.name
			at := under(t, s, open)
			all.Go(func() { h.play(t, at, program, d.Name == "no-auth") })
		}
	}
	all.Wait()
	for _, s := range sites { // the file systems have responded by now
		site.NoProcess(t, 20*time.Second, ours(s))
	}
}

func (h hang) play(t *testing.T, at place, program string, unlogged bool) {
	r := at.runner()
	r.Judge = nil // files on that storage cannot be removed
	launch := r.Hooks.Launch
	var fs *hangfs
	var once sync.Once
	r.Hooks.Launch = func(stage string) []string {
		if stage == h.stage {
			once.Do(func() { fs = at.hangs(t, program, h.home) })
		}
		return launch(stage)
	}
	r.Hooks.Started = func(p fakerunner.Process) {
		if h.stop && p.Stage == h.stage {
			go fs.whenAsked(func() { _ = syscall.Kill(-p.PID, syscall.SIGTERM) })
		}
	}
	r.Hooks.Ended = func(c fakerunner.Call) {
		if c.Stage == h.stage && fs != nil {
			fs.answer()
		}
	}
	job := at.site.Job()
	job = site.WithVariable(job, "RUNNER_SCRIPT_TIMEOUT", h.timeout)
	job.Raw = map[string][]byte{"build_script": []byte(h.script + "\n")}
	res := r.Run(job)
	first := slices.IndexFunc(res.Calls, func(c fakerunner.Call) bool { return c.Stage == h.stage })
	if first < 0 {
		t.Errorf("%s: the job did not come to it:\n%s", h.name, res.Trace)
		return
	}
	call := res.Calls[first]
	output := string(call.Stdout) + string(call.Stderr)
	// The limits: 1 s from SIGTERM to SIGKILL, 2 s from a result, 5 s from SIGKILL; the rest
	// is for 35 jobs at once.
	if most := h.after + 20*time.Second; call.Duration > most {
		t.Errorf("%s: the stage took %v, want at most %v", h.name, call.Duration, most)
	}
	if call.Status != 2 {
		t.Errorf("%s: the stage ended with status %d, want a system failure; it printed:\n%s", h.name, call.Status, output)
	}
	if !strings.Contains(output, "processes of the job could not be ended: ") || !strings.Contains(output, "state D") {
		t.Errorf("%s: the process is not named in:\n%s", h.name, output)
	}
	if unlogged {
		return
	}
	warnings := records(t, at.site, job.ID, "warning")
	if len(warnings) != 1 || warnings[0].Stage != "run" && warnings[0].Stage != h.stage || !strings.Contains(warnings[0].Reason, "state D") {
		t.Errorf("%s: the operator's log has %+v", h.name, warnings)
	}
}

// hangfs is a mounted file system that does not respond.
type hangfs struct {
	server *exec.Cmd
	alive  io.Closer
	output *bufio.Reader
	umount func() error
}

// hangs mounts one below the account's home, in the namespace of the place.
func (p place) hangs(t *testing.T, program, dir string) *hangfs {
	t.Helper()
	a := p.site.Account
	dir = filepath.Join(a.Home, dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, int(a.UID), int(a.GID)); err != nil {
		t.Fatal(err)
	}
	argv := p.ns.Enter(program, dir, fmt.Sprint(a.UID))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(err, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	output := bufio.NewReader(out)
	if line, err := output.ReadString('\n'); line != "ready\n" {
		t.Errorf("hangfs printed %q (%v)", line, err)
	}
	return &hangfs{cmd, in, output, func() error { _, err := p.ns.Run("umount", "-l", dir); return err }}
}

// whenAsked calls f once a process waits for the file system.
func (h *hangfs) whenAsked(do func()) {
	if line, _ := h.output.ReadString('\n'); line == "asked\n" {
		do()
	}
}

// answer ends the server, so that every waiting process gets an error.
func (h *hangfs) answer() {
	_ = h.alive.Close()
	_ = h.server.Wait()
	_ = h.umount()
}
