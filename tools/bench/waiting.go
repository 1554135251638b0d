package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"jacamar-ci/internal/proctree"
	"jacamar-ci/test/harness/fakerunner"
)

// pair is a run stage under way: jacamar-auth, and jacamar below it.
type pair struct {
	cmd           *exec.Cmd
	out           *os.File
	auth, jacamar int
}

// start starts a stage again, whose script first prints the line "begun".
func start(c fakerunner.Call) (*pair, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := again(c)()
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return nil, err
	}
	p := &pair{cmd: cmd, out: r, auth: cmd.Process.Pid}
	if line, err := bufio.NewReaderSize(io.LimitReader(r, int64(len("begun\n"))), 16).ReadString('\n'); err != nil || line != "begun\n" {
		p.stop()
		return nil, fmt.Errorf("the stage did not start: %q %w", line, err)
	}
	kids := proctree.Children(p.auth)
	if len(kids) != 1 {
		p.stop()
		return nil, fmt.Errorf("jacamar-auth has the children %v", kids)
	}
	p.jacamar = kids[0]
	return p, nil
}

// stop ends the stage as the runner does.
func (p *pair) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait() // stopped, which is no success
	p.out.Close()
}

// with gives a run call another script.
func with(c fakerunner.Call, script string) error {
	return os.WriteFile(c.Argv[len(c.Argv)-2], []byte(script), 0o700)
}

// memory prints the memory of a pair that waits for its script.
func (b *benchmark) memory() error {
	return b.during("build_script", "true\n", func(c fakerunner.Call) error {
		if err := with(c, "echo begun\nexec sleep 1000\n"); err != nil {
			return err
		}
		return waitingMemory(c)
	})
}

func waitingMemory(c fakerunner.Call) error {
	p, err := start(c)
	if err != nil {
		return err
	}
	defer p.stop()
	auth, err := pss(p.auth)
	if err != nil {
		return err
	}
	jacamar, err := pss(p.jacamar)
	if err != nil {
		return err
	}
	fmt.Printf("\nMemory of a stage that waits for its script (PSS)\n\n")
	fmt.Printf("jacamar-auth %.1f MiB + jacamar %.1f MiB = %.1f MiB\n", auth, jacamar, auth+jacamar)
	return nil
}

// pss is the proportional set size in MiB (proc_pid_smaps_rollup in proc(5)).
func pss(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "Pss: %f kB", &kib); n == 1 {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("no Pss in /proc/%d/smaps_rollup", pid)
}
